"""A pool that crashes before and after each step: every record is published once, in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from itertools import cycle
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import CommitFailedError
from pytest_django import Settings

from demo.embedded import EmbeddedTansu, EmbeddedValkey
from realtime.kafka.brokers import Brokers
from realtime.kafka.deadletters import DeadLetters
from realtime.kafka.letters.postbox import Postbox
from realtime.kafka.publishing import deliveries
from realtime.kafka.reading.consumer import Consumer
from realtime.sharded_layer import sharded_layer
from shardlayer import ShardedChannelLayer
from tests.apache_kafka import ApacheKafka
from tests.realtime.conftest import channel_layers
from tests.realtime.kafka.numbered import PARTITIONS
from tests.realtime.kafka.pools import Pools
from tests.waiting import PATIENCE, until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.kafka,
    pytest.mark.timeout(600),
]

PORTION = 120  # records that are written before each crash
BAD_EVERY = 15  # records
ROOMS_OF_ALL = ["all", "every"]  # every record goes to these, beside two others

# What a pool awaits for a batch, and how many calls of it go well before it crashes there.
STEPS: list[tuple[type, str, int]] = [
    (AIOKafkaConsumer, "getmany", 2),
    (ShardedChannelLayer, "publish_marked", 3),
    (DeadLetters, "write", 0),
    (Consumer, "commit", 0),
]


@pytest.fixture
async def layer(
    settings: Settings, redis_server: EmbeddedValkey
) -> AsyncIterator[ShardedChannelLayer]:
    """A layer that remembers all records."""
    settings.CHANNEL_LAYERS = channel_layers(
        hosts=[redis_server.url], history={"*": {"size": 10_000, "ttl": 3600}}
    )
    layer = sharded_layer()
    yield layer
    await layer.close()


@pytest.fixture
def pools(brokers: Brokers, topic: str, layer: ShardedChannelLayer) -> Pools:
    """Pools that publish to it; the group soon gives up those that vanish."""
    made = Pools(brokers=brokers, topic=topic, layer=layer)
    made.session_timeout = 1000
    return made


async def produce(brokers: Brokers, topic: str, start: int) -> None:
    """Write a portion of numbered records, each to four rooms; some are bad."""
    async with AIOKafkaProducer(**brokers.arguments()) as producer:
        for number in range(start, start + PORTION):
            partition = number % PARTITIONS
            rooms = [f"room.{partition}", f"third.{number % 3}", *ROOMS_OF_ALL]
            await producer.send(
                topic,
                b"bad" if number % BAD_EVERY == 0 else b"%d" % number,
                partition=partition,
                headers=[("room", room.encode()) for room in rooms],
            )
        await producer.flush()


@contextmanager
def crashing(
    monkeypatch: pytest.MonkeyPatch, owner: type, name: str, survives: int, *, after: bool
) -> Iterator[asyncio.Event]:
    """Have a step never return after some calls, before or after its work; tell when."""
    reached = asyncio.Event()
    step = getattr(owner, name)
    calls = 0

    async def crash(self: object, *args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls <= survives:
            return await step(self, *args, **kwargs)
        if after:
            await step(self, *args, **kwargs)
        reached.set()
        await asyncio.Event().wait()

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, crash)
        yield reached


async def crash_at(reached: asyncio.Event, pools: Pools) -> None:
    """Run a pool until it reaches a step, and end it there: it commits nothing more.

    It has one consumer. The embedded broker takes up to half a minute to give up one that
    vanished while it joined.
    """
    pool = asyncio.create_task(pools.make().run(asyncio.Event()))
    try:
        async with asyncio.timeout(PATIENCE):
            await reached.wait()
    finally:
        pool.cancel()
        await asyncio.wait([pool])


@contextmanager
def failing_commits(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have every other commit fail, as in a rebalance."""
    commit = Consumer.commit
    fails = cycle((True, False))

    async def sometimes(self: Consumer, offsets: Any) -> None:
        if next(fails):
            raise CommitFailedError
        await commit(self, offsets)

    with monkeypatch.context() as patch:
        patch.setattr(Consumer, "commit", sometimes)
        yield


async def numbers(layer: ShardedChannelLayer, room: str) -> list[int]:
    """Return what a room's history holds; at most its newest thousand."""
    return [int(item.data) for item in await layer.history(room)]


async def test_every_step(
    any_kafka: EmbeddedTansu | ApacheKafka,
    brokers: Brokers,
    topic: str,
    layer: ShardedChannelLayer,
    pools: Pools,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever it crashed at, the next pool loses nothing and publishes nothing twice."""
    monkeypatch.setattr(deliveries, "MAX_ITEMS", 1)  # a call for what is of each partition
    written = 0
    for owner, name, survives in STEPS:
        for after in (False, True):
            await produce(brokers, topic, written)
            written += PORTION
            with crashing(monkeypatch, owner, name, survives, after=after) as reached:
                await crash_at(reached, pools)
    good = [number for number in range(written) if number % BAD_EVERY]
    consumers = 1 if isinstance(any_kafka, EmbeddedTansu) else 2  # its group would not go on
    with failing_commits(monkeypatch):
        async with pools.running(consumers=consumers):
            await until(lambda: _count(layer, "all", len(good)), PATIENCE)
    async with pools.running():  # what was not committed is skipped
        # The embedded broker may go on for a while with a member that could not leave.
        await until(lambda: pools.have_committed(written), 3 * PATIENCE)

    for partition in range(PARTITIONS):
        expected = [number for number in good if number % PARTITIONS == partition]
        assert await numbers(layer, f"room.{partition}") == expected
        for room in ROOMS_OF_ALL:
            found = await numbers(layer, room)
            assert [number for number in found if number % PARTITIONS == partition] == expected
    postbox = Postbox(brokers=brokers, topics=[topic], suffix=".dlq", group=pools.group)
    letters = [item.letter async for item in postbox.letters()]
    for partition in range(PARTITIONS):
        of_partition = [each.offset for each in letters if each and each.partition == partition]
        bad = range(partition, written, PARTITIONS)
        assert list(dict.fromkeys(of_partition)) == [
            place for place, number in enumerate(bad) if number % BAD_EVERY == 0
        ]


async def _count(layer: ShardedChannelLayer, room: str, count: int) -> bool:
    found = await layer.history(room)
    return bool(found) and found[-1].offset >= count
