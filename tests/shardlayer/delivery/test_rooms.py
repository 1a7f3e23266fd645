"""The deliveries of all shards share the turns of one event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager

import pytest

from shardlayer import ShardedChannelLayer
from shardlayer.aio.time_slices import TURN
from shardlayer.core.frames import Broadcast
from shardlayer.core.sharding import shard_of
from shardlayer.core.types import Publication
from shardlayer.layer.node import Node
from tests.shardlayer.fakes import RecordingSink
from tests.waiting import PATIENCE, until

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


async def in_a_room_of_each_shard(
    sink: RecordingSink,
) -> tuple[ShardedChannelLayer, Node, list[str]]:
    """Return a layer and its node, in which the sink is in these rooms, in the order of shards."""
    layer = ShardedChannelLayer(hosts=["memory://shared-turns"], shards=SHARDS)
    node = await layer.node()
    names = a_room_of_each_shard()
    for name in names:
        (await node.join(name, sink)).release()
    return layer, node, names


def feed_all(node: Node, names: list[str]) -> None:
    """Have something come for each shard."""
    for shard, name in enumerate(names):
        node._rooms.feed(shard, [Publication(name, b"1")], 1)


async def test_deliveries_of_all_shards_share_a_turn() -> None:
    """What came for all shards at once does not hold the loop up until all of it is written."""
    sink = SlowSink()
    layer, node, names = await in_a_room_of_each_shard(sink)
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
    sink = RecordingSink()
    layer, node, names = await in_a_room_of_each_shard(sink)
    told: list[str] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda loop, context: told.append(repr(context["exception"])))

    def deliver() -> Generator[None, None, None]:
        yield from iter([])
        raise MemoryError

    monkeypatch.setattr(node._rooms.hubs[1], "deliver", deliver)
    monkeypatch.setattr(node._rooms.turns, "_seconds", PATIENCE)  # whoever else has the CPU
    for times in (1, 2):
        feed_all(node, names)
        await until(lambda: sink.writes >= times * (SHARDS - 1) and len(told) >= times)  # noqa: B023
    assert sink.writes == 2 * (SHARDS - 1)
    assert told == ["MemoryError()"] * 2
    await layer.close()


@asynccontextmanager
async def deliveries_that_wait() -> AsyncIterator[tuple[Node, RecordingSink, list[str]]]:
    """Yield a node of which all shards have something to write, and none has begun to.

    With it come the sink and the rooms. A delivery that has begun and is cancelled has taken what
    waited.
    """
    sink = RecordingSink()
    layer, node, names = await in_a_room_of_each_shard(sink)
    node._rooms.turns._seconds = 0.0  # a turn is over as it begins
    feed_all(node, names)
    await asyncio.sleep(0)
    assert len(deliveries()) == SHARDS
    assert sink.writes == 0
    yield node, sink, names
    await layer.close()


def deliveries() -> list[asyncio.Task[object]]:
    """Return the tasks of deliveries that take more than a turn."""
    return [task for task in asyncio.all_tasks() if task.get_name().startswith("delivery of")]


async def test_delivery_cancelled_before_its_first_step_is_no_last_one() -> None:
    """The shard delivers what comes later, and what had waited with it."""
    async with deliveries_that_wait() as (node, sink, names):
        for task in deliveries():
            task.cancel()
        await asyncio.wait(deliveries())
        feed_all(node, names)
        await until(lambda: not deliveries() and len(sink.texts) == 2 * SHARDS)


async def test_what_arrives_after_the_end_begins_no_delivery() -> None:
    """A connection hears until the node has left its registries, and a task would be left."""
    async with deliveries_that_wait() as (node, sink, names):
        await node._rooms.aclose()
        feed_all(node, names)
        for _ in range(5):
            await asyncio.sleep(0)
            assert not deliveries()
        assert sink.writes == 0
