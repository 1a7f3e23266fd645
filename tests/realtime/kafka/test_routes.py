"""Projects' routes in a running pool."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from functools import partial

import pytest
from aiokafka import AIOKafkaProducer

from realtime.kafka.brokers import Brokers
from realtime.kafka.deadletters import Letter
from realtime.kafka.reading.size_limits import Limits
from realtime.kafka.routing.header_rules import Record
from shardlayer import ShardedChannelLayer
from tests.realtime.kafka.bad import records_in
from tests.realtime.kafka.numbered import committed, expected, produce, published
from tests.realtime.kafka.pools import Pools
from tests.waiting import PATIENCE, until

pytestmark = [pytest.mark.slow, pytest.mark.kafka]


async def write(brokers: Brokers, topic: str, *keys: bytes) -> None:
    """Write records with these keys to partition 0."""
    async with AIOKafkaProducer(**brokers.arguments()) as producer:
        for number, key in enumerate(keys):
            await producer.send_and_wait(topic, b"%d" % number, key=key, partition=0)


async def has(layer: ShardedChannelLayer, *numbers: int) -> bool:
    """Say whether room a has these and nothing else."""
    return [int(item.data) for item in await layer.history("a")] == list(numbers)


def odd(record: Record) -> object:
    """Return what no route may, for each key something else."""
    key = (record.key or b"").decode()
    if key == "many":
        return [f"room.{number}" for number in range(200_000)]
    if key == "hangs":
        while True:
            time.sleep(0.01)
    return {
        "number": 7,
        "numbers": [42],
        "nothing": None,
        "nothings": [None],
        "text": "news",
        "generator": (room for room in ["a", "a"]),
    }.get(key, [key])


async def test_what_a_route_returns_stops_nothing(
    brokers: Brokers, topic: str, redis_layer: ShardedChannelLayer, pools: Pools
) -> None:
    """Each that can't be costs its record; a generator's rooms are published to."""
    pools.route = odd  # type: ignore[assignment]
    pools.limits = Limits(payload=1000, route_time=3.0)
    bad = [b"number", b"numbers", b"nothing", b"nothings", b"text", b"many", b"hangs"]
    await write(brokers, topic, b"a", *bad, b"generator", b"a")
    async with pools.running() as pool:
        await until(partial(has, redis_layer, 0, 8, 9), PATIENCE)
        found = await records_in(brokers, topic + ".dlq", len(bad))
        await until(lambda: pool.lag() == 0)
        await until(lambda: pools.have_committed(10), PATIENCE)
    assert await committed(brokers, topic, pools.group) == 10
    errors = [Letter.read(record).error for record in found[0]]
    assert errors == [
        "the route returned 7, not a list of rooms",
        "42 can't name a room",
        "the route returned None, not a list of rooms",
        "None can't name a room",
        "the route returned 'news', not a list of rooms",
        "the route names more than 1,000 rooms",
        "the route took longer than 3 s for it",
    ]
    assert await redis_layer.history("n") == []


async def test_stop_while_a_route_hangs(
    brokers: Brokers, topic: str, redis_layer: ShardedChannelLayer, pools: Pools
) -> None:
    """What came before it is committed, the group is left at once, and nothing is lost."""
    await write(brokers, topic, b"a")
    pools.route = odd  # type: ignore[assignment]
    pools.limits = Limits(payload=1000, route_time=60.0)
    pool = pools.make()
    stop = asyncio.Event()
    running = asyncio.create_task(pool.run(stop))
    await until(partial(has, redis_layer, 0), PATIENCE)
    await write(brokers, topic, b"hangs", b"a")
    await asyncio.sleep(0.5)
    stop.set()
    begin = time.monotonic()
    await asyncio.wait_for(running, 10.0)
    assert time.monotonic() - begin < 8  # what a pool takes to end, at most
    assert await committed(brokers, topic, pools.group) == 1
    pools.limits = Limits(payload=1000, route_time=3.0)
    async with pools.running():
        await until(partial(has, redis_layer, 0, 1), PATIENCE)
        await until(lambda: pools.have_committed(3), PATIENCE)
    assert await committed(brokers, topic, pools.group) == 3


def lazily(record: Record) -> Iterator[str]:
    """Yield the rooms of the headers."""
    for name, value in record.headers:
        if name == "room":
            yield value.decode()


async def asynchronously(record: Record) -> list[str]:
    """Return them after a while."""
    await asyncio.sleep(0.001)
    return list(lazily(record))


@pytest.mark.parametrize("route", [lazily, asynchronously])
async def test_forms_of_routes_keep_order(
    route: object, brokers: Brokers, topic: str, redis_layer: ShardedChannelLayer, pools: Pools
) -> None:
    """Partitions change hands while a route is asked: each record once, in order."""
    pools.route = route  # type: ignore[assignment]
    await produce(brokers, topic, 0, 150)
    async with pools.running():
        await until(lambda: _some(redis_layer), PATIENCE)
        async with pools.running():
            await produce(brokers, topic, 150, 100)
            await until(lambda: _all(redis_layer, 250), PATIENCE)
            await until(lambda: pools.have_committed(250), PATIENCE)
    assert await published(redis_layer) == expected(250)
    assert await committed(brokers, topic, pools.group) == 250


async def _some(layer: ShardedChannelLayer) -> bool:
    return any((await published(layer)).values())


async def _all(layer: ShardedChannelLayer, count: int) -> bool:
    return sum(map(len, (await published(layer)).values())) == count
