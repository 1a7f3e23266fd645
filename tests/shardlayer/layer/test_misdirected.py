"""What is sent to a name in the way that none of its members takes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

from demo.embedded import EmbeddedValkey
from shardlayer.layer import ShardedChannelLayer
from tests.shardlayer.fakes import RecordingSink
from tests.waiting import PATIENCE, until


@pytest.fixture
async def layer(redis_server: EmbeddedValkey) -> AsyncIterator[ShardedChannelLayer]:
    """A layer that is closed in the test's loop."""
    made = ShardedChannelLayer(hosts=[redis_server.url])
    yield made
    await made.close()


async def test_each_way_is_counted_and_warned_of_once(
    layer: ShardedChannelLayer, caplog: pytest.LogCaptureFixture
) -> None:
    """With the name, and with what its members get instead."""
    node = await layer.node()
    channel = await layer.new_channel()
    await layer.group_add("group", channel)
    (await node.join("room", RecordingSink())).release()
    with caplog.at_level(logging.WARNING, logger="shardlayer"):
        for _ in range(3):
            await layer.publish("group", b"1")
            await layer.group_send("room", {"type": "x"})
        await until(lambda: layer.stats()["misdirected"] == 6)
    warnings = sorted(record.getMessage() for record in caplog.records)
    assert [warning.partition(" reaches")[0] for warning in warnings] == [
        "group_send() to room",
        "publish() to group",
    ]


async def test_what_reaches_somebody_is_not_counted(layer: ShardedChannelLayer) -> None:
    """Members of both kinds, and rooms that nobody is in any more."""
    node = await layer.node()
    channel, sink = await layer.new_channel(), RecordingSink()
    await layer.group_add("both", channel)
    (await node.join("both", sink)).release()
    await layer.publish("both", b"1")
    await layer.group_send("both", {"type": "x"})
    assert await asyncio.wait_for(layer.receive(channel), PATIENCE) == {"type": "x"}
    await until(lambda: layer.stats()["delivered"] == 1)
    await layer.group_discard("both", channel)
    node.leave("both", sink)
    await layer.publish("both", b"1")
    await layer.group_send("both", {"type": "x"})
    await layer.group_send("end", {"type": "x"})
    await layer.send(channel, {"type": "end"})
    assert await asyncio.wait_for(layer.receive(channel), PATIENCE) == {"type": "end"}
    assert layer.stats()["misdirected"] == 0
