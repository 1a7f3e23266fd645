"""The pool on each kind of broker and a real Redis."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from demo.embedded import EmbeddedValkey
from realtime.kafka import membership
from realtime.kafka.brokers import Brokers
from realtime.kafka.membership import GroupMembership
from realtime.kafka.reading.closing import close_consumer
from realtime.kafka.reading.consumer import Consumer
from shardlayer import ShardedChannelLayer
from tests.realtime.client import RecordingSink
from tests.realtime.kafka.numbered import arrived, committed, expected, produce, published, trickle
from tests.realtime.kafka.pools import Pools
from tests.waiting import PATIENCE, until
from tests.waiting import until as until_true

pytestmark = pytest.mark.kafka


async def test_records_are_published_once_and_in_order(
    brokers: Brokers,
    topic: str,
    redis_layer: ShardedChannelLayer,
    pools: Pools,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Two consumers share the partitions; all is committed; the next pool begins behind it."""
    caplog.set_level(logging.INFO, "realtime")
    await produce(brokers, topic, 0, 200)
    async with AIOKafkaProducer(**brokers.arguments()) as producer:
        await producer.send_and_wait(topic, b"not json", partition=0, key=b"room.0")
        await producer.send_and_wait(topic, b"{}", partition=0)
    async with pools.running(consumers=2) as first:
        await arrived(redis_layer, 200)
        await until(lambda: first.skipped.total == 2)
        await until(lambda: pools.have_committed(202), PATIENCE)
    assert await published(redis_layer) == expected(200)
    assert "partition 0, offset" in caplog.text
    assert await committed(brokers, topic, pools.group) == 202

    await produce(brokers, topic, 200, 100)
    async with pools.running() as second:
        await arrived(redis_layer, 300)
    assert await published(redis_layer) == expected(300)
    assert second.skipped.total == 0


async def test_without_redis_nothing_is_committed(
    brokers: Brokers,
    topic: str,
    redis_server: EmbeddedValkey,
    redis_layer: ShardedChannelLayer,
    pools: Pools,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """While Redis is away the pool waits and can be stopped; nothing is lost or left out."""
    await produce(brokers, topic, 0, 50)
    await asyncio.to_thread(redis_server.stop)
    async with pools.running():
        await until(lambda: "Redis is not available" in caplog.text, within=PATIENCE)
    assert await committed(brokers, topic, pools.group) == 0

    caplog.clear()
    async with pools.running():
        await until(lambda: "Redis is not available" in caplog.text, within=PATIENCE)
        await asyncio.to_thread(redis_server.start)
        await arrived(redis_layer, 50)
        await until(lambda: "Redis is back" in caplog.text)
        await until(lambda: pools.have_committed(50), PATIENCE)
    assert await published(redis_layer) == expected(50)
    assert await committed(brokers, topic, pools.group) == 50


async def test_rebalance_without_redis(
    brokers: Brokers,
    topic: str,
    redis_server: EmbeddedValkey,
    redis_layer: ShardedChannelLayer,
    pools: Pools,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A batch that Redis does not take holds up no rebalance, and none of it is left out."""
    caplog.set_level(logging.INFO, "realtime")
    await produce(brokers, topic, 0, 250)  # more than one batch: the next must not pass the first
    await asyncio.to_thread(redis_server.stop)
    async with pools.running():
        await until(lambda: "Redis is not available" in caplog.text, within=PATIENCE)
        async with pools.running():
            await until(lambda: caplog.text.count("Reading 4 partition(s)") >= 2, within=PATIENCE)
            await asyncio.to_thread(redis_server.start)
            await arrived(redis_layer, 250)
            await until(lambda: pools.have_committed(250), PATIENCE)
    assert await published(redis_layer) == expected(250)
    assert await committed(brokers, topic, pools.group) == 250


async def test_pools_come_and_go_without_a_gap(
    brokers: Brokers,
    topic: str,
    redis_layer: ShardedChannelLayer,
    pools: Pools,
) -> None:
    """Partitions change hands between batches: every record is published, once, in order."""
    await produce(brokers, topic, 0, 1)  # a topic that has something to begin with
    producing = asyncio.create_task(trickle(brokers, topic, 1, 300))
    async with pools.running():
        async with pools.running():
            await arrived(redis_layer, 30)
        await arrived(redis_layer, 150)
    async with pools.running(consumers=2):
        await producing
        await arrived(redis_layer, 300)
    assert await published(redis_layer) == expected(300)


async def test_announcements(
    brokers: Brokers, topic: str, redis_layer: ShardedChannelLayer, pools: Pools
) -> None:
    """Records for everybody are announced once and in order, beside those for rooms."""
    sink = RecordingSink()
    (await redis_layer.node()).attend(sink)
    while sink.texts.empty():  # from here on the node hears what is announced
        await redis_layer.announce(b'"hello"')
        await asyncio.sleep(0.05)
    async with AIOKafkaProducer(**brokers.arguments()) as producer:
        for number in range(20):
            headers = [("kind", b"maintenance-notify")] if number % 2 else [("room", b"global")]
            await producer.send_and_wait(topic, b"%d" % number, partition=0, headers=headers)
    await produce(brokers, topic, 0, 50)
    for group in ("first", "second"):  # the second reads all of it once more
        pools.group = f"{topic}-{group}"
        async with pools.running():
            await arrived(redis_layer, 50)
            await until_true(lambda: pools.have_committed(70), PATIENCE)
    await redis_layer.announce(b'"bye"')
    heard = []
    while b"bye" not in (text := await asyncio.wait_for(sink.texts.get(), PATIENCE)):
        heard.append(json.loads(text)["announcement"])
    assert [text for text in heard if text != "hello"] == list(range(20))
    assert await published(redis_layer) == expected(50)


async def test_consumer_that_fails_is_begun_again(
    brokers: Brokers,
    topic: str,
    redis_layer: ShardedChannelLayer,
    pools: Pools,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An error that nobody foresaw is logged with its traceback; no record is lost or twice."""
    fetch = Consumer.fetch
    failures = 2

    async def fails(self: Consumer, *args: Any, **kwargs: Any) -> Any:
        nonlocal failures
        batches = await fetch(self, *args, **kwargs)
        if batches and failures:
            failures -= 1
            raise RuntimeError("nobody foresaw this")
        return batches

    monkeypatch.setattr(Consumer, "fetch", fails)
    await produce(brokers, topic, 0, 100)
    async with pools.running():
        await arrived(redis_layer, 100)
        await until(lambda: pools.have_committed(100), PATIENCE)
    assert await published(redis_layer) == expected(100)
    assert "RuntimeError: nobody foresaw this" in caplog.text
    assert await committed(brokers, topic, pools.group) == 100


async def test_partitions_that_are_assigned_while_a_consumer_closes(
    brokers: Brokers,
    topic: str,
    redis_layer: ShardedChannelLayer,
    pools: Pools,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing is begun with them: it would go on for good, and connect the closed consumer anew."""
    memberships = []
    start = GroupMembership.start

    async def start_and_note(started: GroupMembership) -> None:
        memberships.append(started)
        await start(started)

    async def assign_and_close(consumer: AIOKafkaConsumer, *, grace: float) -> bool:
        await memberships[-1].on_partitions_assigned(consumer.assignment())
        return await close_consumer(consumer, grace=grace)

    monkeypatch.setattr(GroupMembership, "start", start_and_note)
    monkeypatch.setattr(membership, "close_consumer", assign_and_close)
    await produce(brokers, topic, 0, 10)
    async with pools.running():
        await arrived(redis_layer, 10)
    assert "realtime: identify topics" not in {task.get_name() for task in asyncio.all_tasks()}
