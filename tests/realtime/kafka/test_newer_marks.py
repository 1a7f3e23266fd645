"""Marks that are newer than what is known of their log's end are no marks of another log."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError, LeaderNotAvailableError

from realtime.kafka import membership
from realtime.kafka.brokers import Brokers
from realtime.kafka.membership import GroupMembership
from realtime.kafka.reading.consumer import Consumer
from shardlayer import Mark, ShardedChannelLayer
from tests.apache_kafka import APACHE
from tests.realtime.kafka.numbered import PARTITIONS, arrived, expected, produce, published
from tests.realtime.kafka.pools import Pools
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.kafka

APACHE_ONLY = [pytest.param("apache_kafka", marks=APACHE)]
FORGOTTEN = "Its marks are forgotten"


async def test_another_group_publishes_between_a_fetch_and_its_marks(
    brokers: Brokers,
    topic: str,
    pools: Pools,
    redis_layer: ShardedChannelLayer,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each record is published once, though the marks lie beyond the end that the fetch told."""
    has_fetched, may_answer = asyncio.Event(), asyncio.Event()
    may_begin, marks = GroupMembership._may_begin, redis_layer.marks

    async def note_and_begin(self: GroupMembership, *args: Any) -> bool:
        has_fetched.set()
        return await may_begin(self, *args)

    async def answer_late(sources: Sequence[str]) -> dict[str, Mark | None]:
        await may_answer.wait()
        return dict(await marks(sources))

    await produce(brokers, topic, 0, 50)
    async with pools.running():
        await arrived(redis_layer, 50)
        monkeypatch.setattr(membership, "MARKS_WAIT", PATIENCE)
        monkeypatch.setattr(GroupMembership, "_may_begin", note_and_begin)
        monkeypatch.setattr(redis_layer, "marks", answer_late)
        pools.group = f"{topic}-second"
        async with pools.running():
            await has_fetched.wait()
            await produce(brokers, topic, 50, 50)
            await arrived(redis_layer, 100)
            may_answer.set()
            await until(lambda: pools.have_committed(100))
    assert FORGOTTEN not in caplog.text
    assert await published(redis_layer) == expected(100)


@pytest.mark.parametrize("any_kafka", APACHE_ONLY, indirect=True)
async def test_broker_that_answers_fetches_lags(
    brokers: Brokers,
    topic: str,
    pools: Pools,
    redis_layer: ShardedChannelLayer,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A follower may tell an end that lies before the marks, for long: the leader's counts."""
    highwater = Consumer.highwater

    def lags(self: Consumer, partition: TopicPartition) -> int | None:
        end = highwater(self, partition)
        return None if end is None else min(end, 1)

    await produce(brokers, topic, 0, 50)
    async with pools.running():
        await arrived(redis_layer, 50)
    monkeypatch.setattr(Consumer, "highwater", lags)
    pools.group = f"{topic}-second"
    async with pools.running():
        await until(lambda: pools.have_committed(50))
    assert FORGOTTEN not in caplog.text
    assert await published(redis_layer) == expected(50)


@pytest.mark.parametrize("any_kafka", APACHE_ONLY, indirect=True)
async def test_leaders_end_counts_open_transactions(brokers: Brokers, topic: str) -> None:
    """A pool that reads uncommitted records publishes them, and its marks are as good as others."""
    partition = TopicPartition(topic, 0)
    consumer = Consumer(**brokers.arguments(), max_unpacked=1024, isolation_level="read_committed")
    consumer.assign([partition])
    await consumer.start()

    async def is_empty() -> bool:
        with suppress(KafkaError):  # the leader may not know yet that it is one
            return await consumer.log_end(partition) == 0
        return False

    try:
        transactional = AIOKafkaProducer(**brokers.arguments(), transactional_id=topic)
        async with transactional as producer, producer.transaction():
            await until(is_empty, PATIENCE)
            await producer.send_and_wait(topic, b"1", partition=0)
            assert await consumer.log_end(partition) == 1
            assert await consumer.end_offsets([partition]) == {partition: 0}
        with pytest.raises(LeaderNotAvailableError):
            await consumer.log_end(TopicPartition(topic, PARTITIONS))
    finally:
        await consumer.stop()
