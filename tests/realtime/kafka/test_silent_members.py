"""Members that have nothing to fetch take part in their group all the same."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.consumer.group_coordinator import CoordinatorGroupRebalance
from aiokafka.errors import GroupAuthorizationFailedError, KafkaError

from realtime.kafka.brokers import Brokers
from realtime.kafka.membership import STAY_INTERVAL
from shardlayer import ShardedChannelLayer
from tests.apache_kafka import APACHE, ApacheKafka
from tests.realtime.kafka.numbered import arrived, expected, produce, published
from tests.realtime.kafka.pools import Pools
from tests.waiting import until

pytestmark = [pytest.mark.kafka, *APACHE]

IDLE = 2000  # milliseconds until aiokafka takes a member that does not poll out of its group


@pytest.fixture
def any_kafka(apache_kafka: ApacheKafka) -> ApacheKafka:
    """A real one: it deals a partition out again when its reader leaves."""
    return apache_kafka


@pytest.fixture
def topic(any_kafka: ApacheKafka) -> str:
    """The name of a new topic with one partition, so that one of two members has none."""
    name = f"single-{uuid4().hex[:12]}"
    any_kafka.create_topic(name, partitions=1)
    return name


async def test_spare_member_takes_over(
    brokers: Brokers,
    topic: str,
    pools: Pools,
    redis_layer: ShardedChannelLayer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It had no partition for longer than aiokafka lets a member be idle."""
    caplog.set_level("INFO", "realtime")
    pools.options = {"max_poll_interval_ms": IDLE}
    await produce(brokers, topic, 0, 10, partitions=1)
    async with AsyncExitStack() as one, AsyncExitStack() as other:
        members = {await each.enter_async_context(pools.running()): each for each in (one, other)}
        await until(lambda: "Reading 0 partition(s)" in caplog.text)
        await arrived(redis_layer, 10)
        await asyncio.sleep(2 * IDLE / 1000)  # nothing tells that a member was idle for so long
        active = next(ends for pool, ends in members.items() if pool.partitions())
        await active.aclose()
        await produce(brokers, topic, 10, 10, partitions=1)
        await arrived(redis_layer, 20)
    assert await published(redis_layer) == expected(20)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (GroupAuthorizationFailedError("g"), "allow the pool's user READ on the consumer group"),
        (KafkaError("GroupMaxSizeReached"), "Kafka is not available, waiting for it: KafkaError"),
    ],
)
async def test_group_that_takes_a_member_no_more(
    error: KafkaError,
    told: str,
    brokers: Brokers,
    topic: str,
    pools: Pools,
    redis_layer: ShardedChannelLayer,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is said, though the member fetches nothing when it hears that; later it joins again."""
    join = CoordinatorGroupRebalance.perform_group_join
    refused = 0

    async def refuse_once(rebalance: CoordinatorGroupRebalance) -> Any:
        nonlocal refused
        coordinator = rebalance._coordinator
        if refused or coordinator.generation < 0:  # it joins for the first time
            return await join(rebalance)
        refused += 1
        await until(lambda: coordinator._subscription.fetcher_idle_time > 0)
        raise error

    monkeypatch.setattr(CoordinatorGroupRebalance, "perform_group_join", refuse_once)
    monkeypatch.setattr("realtime.outage.LASTING_PAUSE", 0.1)
    await produce(brokers, topic, 0, 10, partitions=1)
    async with pools.running() as pool:
        await arrived(redis_layer, 10)
        async with pools.running():  # the first has to join again, too
            await until(lambda: told in caplog.text)
        await until(pool.partitions)
        await produce(brokers, topic, 10, 10, partitions=1)
        await arrived(redis_layer, 20)
    assert refused == 1
    assert await published(redis_layer) == expected(20)


async def test_two_spare_members_of_one_name(
    brokers: Brokers, topic: str, pools: Pools, caplog: pytest.LogCaptureFixture
) -> None:
    """They don't take each other's place without end: one waits, and says why."""
    caplog.set_level("INFO", "realtime")
    arguments = brokers.arguments() | {"client_id": "a"}  # the group gives it the partition
    neighbour = AIOKafkaConsumer(topic, **arguments, group_id=pools.group, session_timeout_ms=30000)
    await neighbour.start()
    try:
        pools.instance = "pool-1"
        pools.session_timeout = 30_000
        async with pools.running():
            await until(lambda: "Reading 0 partition(s)" in caplog.text)
            await asyncio.sleep(2 * STAY_INTERVAL)  # nothing tells that it knows its own name
            async with pools.running():
                await until(lambda: "Waiting will not help: give each" in caplog.text)
    finally:
        await neighbour.stop()
