"""A pool with a name keeps its partitions over a restart."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.consumer.group_coordinator import GroupCoordinator

from realtime.kafka.brokers import Brokers
from shardlayer import ShardedChannelLayer
from tests.apache_kafka import APACHE
from tests.realtime.kafka.numbered import PARTITIONS, arrived, expected, produce, published
from tests.realtime.kafka.pools import Pools
from tests.waiting import PATIENCE, until

pytestmark = [pytest.mark.kafka, *APACHE]

SESSION = 30_000  # milliseconds; a restart takes less


class RecordingListener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Notes each assignment of its consumer."""

    def __init__(self) -> None:
        self.assignments: list[Collection[TopicPartition]] = []

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Do nothing."""

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Note it."""
        self.assignments.append(assigned)


@pytest.mark.parametrize("any_kafka", ["apache_kafka"], indirect=True)
async def test_restart_moves_nothing(
    brokers: Brokers, topic: str, pools: Pools, redis_layer: ShardedChannelLayer
) -> None:
    """Back within the session timeout it goes on; its neighbour in the group sees nothing."""
    pools.instance = "pool-1"
    pools.session_timeout = SESSION
    listener = RecordingListener()
    neighbour = AIOKafkaConsumer(
        **brokers.arguments(),
        group_id=pools.group,
        enable_auto_commit=False,
        session_timeout_ms=SESSION,
        heartbeat_interval_ms=300,
    )
    neighbour.subscribe([topic], listener=listener)
    await neighbour.start()
    try:
        async with pools.running():
            await until(lambda: _share(listener) == PARTITIONS // 2, within=PATIENCE)
        before = len(listener.assignments)
        await produce(brokers, topic, 0, 100)
        theirs = {tp.partition for tp in listener.assignments[-1]}
        ours = sum(number % 10 % PARTITIONS not in theirs for number in range(100))
        async with pools.running():
            await arrived(redis_layer, ours)
        assert len(listener.assignments) == before
    finally:
        await neighbour.stop()
    found = await published(redis_layer)
    for room, records in expected(100).items():
        number = int(room.removeprefix("room."))
        assert found[room] == ([] if number % PARTITIONS in theirs else records)


def _share(listener: RecordingListener) -> int:
    return len(listener.assignments[-1]) if listener.assignments else 0


@pytest.mark.parametrize("any_kafka", ["apache_kafka"], indirect=True)
async def test_two_pools_of_one_name(
    brokers: Brokers,
    topic: str,
    pools: Pools,
    redis_layer: ShardedChannelLayer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """They don't take each other's place without end: one waits, it is said why, once; each
    record is published once."""
    caplog.set_level("INFO", "realtime")
    pools.instance = "pool-1"
    pools.session_timeout = SESSION
    await produce(brokers, topic, 0, 50)
    async with pools.running():
        await arrived(redis_layer, 50)
        async with pools.running():
            await until(lambda: "Waiting will not help: give each" in caplog.text, PATIENCE)
            before = caplog.text.count("Reading 8 partition(s)")
            await produce(brokers, topic, 50, 200)
            await arrived(redis_layer, 250)
            assert caplog.text.count("Reading 8 partition(s)") - before < 3
    assert caplog.text.count("was given to another member of the group") <= 2  # once for each pool
    assert await published(redis_layer) == expected(250)
    async with pools.running():
        await produce(brokers, topic, 250, 10)
        await arrived(redis_layer, 260)


@pytest.mark.parametrize("any_kafka", ["apache_kafka"], indirect=True)
async def test_name_that_is_taken_while_records_come(
    brokers: Brokers,
    topic: str,
    pools: Pools,
    redis_layer: ShardedChannelLayer,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They wake the fetch, which waits for partitions that nobody assigns any more; it is said."""
    prepare = GroupCoordinator._on_join_prepare
    woken = 0

    async def prepare_and_bring_records(coordinator: GroupCoordinator, before: Any) -> None:
        nonlocal woken
        fetches = coordinator._subscription._fetch_waiters
        was_replaced = before is not None and not coordinator.member_id
        if was_replaced:
            await until(lambda: fetches)
        try:
            await prepare(coordinator, before)
        finally:
            for fetch in list(fetches) if was_replaced else ():
                fetch.set_result(None)  # as aiokafka's fetcher does
                woken += 1

    monkeypatch.setattr(GroupCoordinator, "_on_join_prepare", prepare_and_bring_records)
    pools.instance = "pool-1"
    pools.session_timeout = SESSION
    await produce(brokers, topic, 0, 50)
    async with pools.running():
        await arrived(redis_layer, 50)
        async with pools.running():
            await until(lambda: "Waiting will not help: give each" in caplog.text)
    assert woken
