"""What the tests of the contract send, and how they receive it."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

from shardlayer.layer import ShardedChannelLayer
from shardlayer.layer.node import Node
from tests.waiting import PATIENCE

EXPIRY = 0.6  # seconds

Message = dict[str, Any]


def message(content: object = None) -> Message:
    """Return a message with some content."""
    return {"type": "test.message", "content": content}


async def receive(layer: ShardedChannelLayer, channel: str) -> object:
    """Return the content of a channel's next message."""
    received = await asyncio.wait_for(layer.receive(channel), PATIENCE)
    assert received["type"] == "test.message"
    return received["content"]


def have_arrive_late(node: Node, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have each batch reach a node so many seconds after it has come."""
    arrived, loop = node.arrived, asyncio.get_running_loop()

    def late(shard: int, batch: bytes) -> None:
        loop.call_later(seconds, arrived, shard, batch)

    monkeypatch.setattr(node, "arrived", late)


async def receive_until(layer: ShardedChannelLayer, channel: str, last: object) -> list[object]:
    """Return the contents of a channel's messages before the last one."""
    contents = []
    while (content := await receive(layer, channel)) != last:
        contents.append(content)
    return contents


def groups_beside(layer: ShardedChannelLayer, channel: str, count: int) -> list[str]:
    """Return groups on the channel's server: what two servers tell may cross on the way."""
    names = (f"g{number}" for number in itertools.count())
    shard = layer.shard_of(channel)
    return list(itertools.islice((name for name in names if layer.shard_of(name) == shard), count))
