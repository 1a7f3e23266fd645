"""The pool on a real broker and a real Redis."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from realtime.embedded import EmbeddedTansu, EmbeddedValkey
from realtime.kafka.pool import Pool
from realtime.kafka.routing import route
from realtime.kafka.source import Brokers
from shardlayer import ShardedChannelLayer
from tests.realtime.waiting import until

PARTITIONS = 8
ROOMS = 10
PATIENCE = 20.0  # seconds

pytestmark = pytest.mark.kafka


@pytest.fixture
def brokers(kafka_broker: EmbeddedTansu) -> Brokers:
    """The running broker."""
    return Brokers(servers=[kafka_broker.bootstrap_servers], options={})


@pytest.fixture
def make_pool(
    brokers: Brokers, kafka_topic: str, redis_layer: ShardedChannelLayer
) -> Callable[..., Pool]:
    """Makes pools that read a new topic, in a group of this test's own."""
    group = f"group-{uuid4().hex[:12]}"

    def make(**more: Any) -> Pool:
        arguments: dict[str, Any] = {
            "brokers": brokers,
            "topics": [kafka_topic],
            "group": group,
            "consumers": 1,
            "auto_offset_reset": "earliest",
            "route": route,
            "layer": redis_layer,
            "limit": 1000,
            "terminal": None,
            "options": {"session_timeout_ms": 1000, "heartbeat_interval_ms": 300},
        }
        return Pool(**(arguments | more))

    make.group = group  # type: ignore[attr-defined]
    return make


@asynccontextmanager
async def running(pool: Pool) -> AsyncIterator[None]:
    """Run a pool during the block, and wait for its orderly end."""
    stop = asyncio.Event()
    task = asyncio.create_task(pool.run(stop))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(task, PATIENCE)


async def produce(brokers: Brokers, topic: str, start: int, count: int) -> None:
    """Write numbered records, each room in a partition of its own choice, in order."""
    async with AIOKafkaProducer(**brokers.arguments()) as producer:
        for number in range(start, start + count):
            room = f"room.{number % ROOMS}"
            await producer.send(
                topic,
                b'{"n": %d}' % number,
                partition=number % ROOMS % PARTITIONS,
                headers=[("room", room.encode())],
            )
        await producer.flush()


async def published(layer: ShardedChannelLayer) -> dict[str, list[bytes]]:
    """Return what every room's history holds."""
    found: dict[str, list[bytes]] = defaultdict(list)
    for number in range(ROOMS):
        room = f"room.{number}"
        found[room] = [item.data for item in await layer.history(room)]
    return found


def expected(count: int) -> dict[str, list[bytes]]:
    """Return what should be published of so many records: each once, in order."""
    found: dict[str, list[bytes]] = defaultdict(list)
    for number in range(count):
        found[f"room.{number % ROOMS}"].append(b'{"n": %d}' % number)
    return found


async def arrived(layer: ShardedChannelLayer, count: int) -> None:
    """Wait until so many records are published."""
    async with asyncio.timeout(PATIENCE):
        while True:
            if sum(map(len, (await published(layer)).values())) >= count:
                return
            await asyncio.sleep(0.05)


async def committed(brokers: Brokers, topic: str, group: str) -> int:
    """Return how many records the group has committed."""
    async with AIOKafkaConsumer(
        **brokers.arguments(), group_id=group, enable_auto_commit=False
    ) as consumer:
        partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
        return sum([await consumer.committed(partition) or 0 for partition in partitions])


async def test_records_are_published_once_and_in_order(
    brokers: Brokers,
    kafka_topic: str,
    redis_layer: ShardedChannelLayer,
    make_pool: Callable[..., Pool],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Two consumers share the partitions; all is committed; the next pool begins behind it."""
    caplog.set_level(logging.INFO, "realtime")
    await produce(brokers, kafka_topic, 0, 200)
    async with AIOKafkaProducer(**brokers.arguments()) as producer:
        await producer.send_and_wait(kafka_topic, b"not json", partition=0, key=b"room.0")
        await producer.send_and_wait(kafka_topic, b"{}", partition=0)
    first = make_pool(consumers=2)
    async with running(first):
        await arrived(redis_layer, 200)
        await until(lambda: first.skipped.total == 2)
    assert await published(redis_layer) == expected(200)
    assert "partition 0, offset" in caplog.text
    group = make_pool.group  # type: ignore[attr-defined]
    assert await committed(brokers, kafka_topic, group) == 202

    await produce(brokers, kafka_topic, 200, 100)
    second = make_pool()
    async with running(second):
        await arrived(redis_layer, 300)
    assert await published(redis_layer) == expected(300)
    assert second.skipped.total == 0


async def test_without_redis_nothing_is_committed(
    brokers: Brokers,
    kafka_topic: str,
    redis_server: EmbeddedValkey,
    redis_layer: ShardedChannelLayer,
    make_pool: Callable[..., Pool],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """While Redis is away the pool waits and can be stopped; nothing is lost or left out."""
    group = make_pool.group  # type: ignore[attr-defined]
    await produce(brokers, kafka_topic, 0, 50)
    await asyncio.to_thread(redis_server.stop)
    async with running(make_pool()):
        await until(lambda: "Redis is not available" in caplog.text, within=PATIENCE)
    assert await committed(brokers, kafka_topic, group) == 0

    caplog.clear()
    async with running(make_pool()):
        await until(lambda: "Redis is not available" in caplog.text, within=PATIENCE)
        await asyncio.to_thread(redis_server.start)
        await arrived(redis_layer, 50)
        await until(lambda: "Redis is back" in caplog.text)
    assert await published(redis_layer) == expected(50)
    assert await committed(brokers, kafka_topic, group) == 50


async def test_pools_come_and_go_without_a_gap(
    brokers: Brokers,
    kafka_topic: str,
    redis_layer: ShardedChannelLayer,
    make_pool: Callable[..., Pool],
) -> None:
    """Partitions change hands between batches: every record is published, once, in order."""
    await produce(brokers, kafka_topic, 0, 1)  # a topic that has something to begin with
    producing = asyncio.create_task(trickle(brokers, kafka_topic, 1, 300))
    async with running(make_pool()):
        async with running(make_pool()):
            await arrived(redis_layer, 30)
        await arrived(redis_layer, 150)
    async with running(make_pool(consumers=2)):
        await producing
        await arrived(redis_layer, 300)
    assert await published(redis_layer) == expected(300)


async def trickle(brokers: Brokers, topic: str, start: int, end: int) -> None:
    """Write numbered records over some seconds."""
    for number in range(start, end, 10):
        await produce(brokers, topic, number, min(10, end - number))
        await asyncio.sleep(0.1)
