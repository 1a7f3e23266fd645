"""The deliveries of all shards share the turns of one event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator

import pytest

from shardlayer import ShardedChannelLayer
from shardlayer.aio.time_slices import TURN
from shardlayer.core.frames import Broadcast
from shardlayer.core.sharding import shard_of
from shardlayer.core.types import Publication
from tests.shardlayer.fakes import RecordingSink

SHARDS = 32
HALF_A_TURN = TURN / 2  # seconds


class SlowSink(RecordingSink):
    """Holds the event loop up at each write."""

    def write(self, broadcast: Broadcast) -> None:
        super().write(broadcast)
        time.sleep(HALF_A_TURN)


def a_room_of_each_shard() -> list[str]:
    """Return names of rooms, in the order of their shards."""
    names: dict[int, str] = {}
    number = 0
    while len(names) < SHARDS:
        number += 1
        names.setdefault(shard_of(f"room{number}", SHARDS), f"room{number}")
    return [names[shard] for shard in range(SHARDS)]


async def test_deliveries_of_all_shards_share_a_turn() -> None:
    """What came for all shards at once does not hold the loop up until all of it is written."""
    layer = ShardedChannelLayer(hosts=["memory://shared-turns"], shards=SHARDS)
    node = await layer.node()
    sink = SlowSink()
    names = a_room_of_each_shard()
    for name in names:
        (await node.join(name, sink)).release()
    for shard, name in enumerate(names):
        data = f'"{name}"'.encode()
        node._rooms.feed(shard, [Publication(name, data)], len(data))
    written, most = 0, 0
    while written < SHARDS:
        await asyncio.sleep(0)
        most = max(most, sink.writes - written)
        written = sink.writes
    assert most <= 2
    assert len(set(sink.texts)) == sink.writes == SHARDS
    await layer.close()


async def test_error_of_one_shard_holds_up_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Those whose deliveries were to begin in the same turn begin in the next."""
    layer = ShardedChannelLayer(hosts=["memory://shared-turns"], shards=SHARDS)
    node = await layer.node()
    sink = RecordingSink()
    names = a_room_of_each_shard()
    for name in names:
        (await node.join(name, sink)).release()
    told: list[str] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda loop, context: told.append(repr(context["exception"])))

    def deliver() -> Generator[None, None, None]:
        yield from iter([])
        raise MemoryError

    monkeypatch.setattr(node._rooms.hubs[1], "deliver", deliver)
    for _ in range(2):
        for shard, name in enumerate(names):
            node._rooms.feed(shard, [Publication(name, b"1")], 1)
        for _ in range(4):
            await asyncio.sleep(0)
    assert sink.writes == 2 * (SHARDS - 1)
    assert told == ["MemoryError()"] * 2
    await layer.close()
