"""What the tests of the contract send, and how they receive it."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

from shardlayer.layer import ShardedChannelLayer
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
