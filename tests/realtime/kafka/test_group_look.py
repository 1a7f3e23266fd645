"""What Kafka's brokers tell of a group, with and without a pool that runs."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer
from pytest_django import Settings

from demo.embedded import EmbeddedValkey
from realtime.kafka.brokers import Brokers
from realtime.kafka.group_look import GroupLook, PartitionLook, look_at_group
from realtime.sharded_layer import sharded_layer
from shardlayer import ShardedChannelLayer
from tests.apache_kafka import APACHE, ApacheKafka
from tests.realtime.conftest import channel_layers
from tests.realtime.kafka.numbered import PARTITIONS, arrived, produce
from tests.realtime.kafka.pools import Pools
from tests.waiting import PATIENCE, until

pytestmark = [pytest.mark.slow, pytest.mark.kafka]

ON_APACHE = pytest.mark.parametrize(
    "any_kafka", [pytest.param("apache_kafka", marks=APACHE)], indirect=True
)


async def look(pools: Pools, *more: str, reset: str = "earliest") -> GroupLook:
    """Return how the pools' group is."""
    return await look_at_group(
        pools.brokers,
        topics=[pools.topic, *more],
        group=pools.group,
        isolation="read_committed",
        reset=reset,
    )


async def test_group_that_nobody_is_in(brokers: Brokers, topic: str, pools: Pools) -> None:
    """Without a pool all partitions are there, all of what they hold waits, and nobody reads it."""
    await produce(brokers, topic, 0, 20)
    found = await look(pools, "no-such-topic")
    assert (found.members, found.lag, found.missing) == ((), 20, ("no-such-topic",))
    assert [each.partition for each in found.partitions] == list(range(PARTITIONS))
    assert {each.is_read for each in found.partitions} == {False}
    assert {each.committed for each in found.partitions} == {None}
    assert (await look(pools, reset="latest")).lag == 0


async def test_members_and_what_they_read(
    brokers: Brokers,
    topic: str,
    redis_layer: ShardedChannelLayer,
    pools: Pools,
    any_kafka: object,
) -> None:
    """A pool's consumer has the partitions; when it has gone, what it left waits."""
    await produce(brokers, topic, 0, 20)
    async with pools.running():
        await arrived(redis_layer, 20)
        await until(lambda: has_lag(pools, 0), within=PATIENCE)
        found = await look(pools)
        [member] = found.members
        assert found.state == "Stable"
        if isinstance(any_kafka, ApacheKafka):
            assert (member.name, member.host) == (f"{pools.group}-0", "127.0.0.1")
            assert len(member.partitions) == PARTITIONS
            assert {each.member for each in found.partitions} == {member}
            assert {each.is_read for each in found.partitions} == {True}
        else:
            assert member.name == member.id
            assert {each.is_read for each in found.partitions} == {None}
        assert not any(each.is_paused for each in found.partitions)
    await produce(brokers, topic, 20, 10)
    found = await look(pools)
    assert found.lag == 10
    if isinstance(any_kafka, ApacheKafka):  # the other forgets members by and by
        assert found.members == ()
        assert {each.is_read for each in found.partitions} == {False}
    assert sum(each.committed or 0 for each in found.partitions) == 20


async def has_lag(pools: Pools, count: int) -> bool:
    """Say whether so many records wait."""
    return (await look(pools)).lag == count


@ON_APACHE
async def test_open_transactions_are_no_lag(brokers: Brokers, topic: str, pools: Pools) -> None:
    """What nobody may read yet does not wait."""
    async with AIOKafkaProducer(
        **brokers.arguments(), transactional_id=f"t-{uuid4().hex}"
    ) as producer:
        async with producer.transaction():
            await producer.send_and_wait(topic, b"1", partition=0)
            assert (await look(pools)).lag == 0
        await until(lambda: has_lag(pools, 2), within=PATIENCE)  # the record, and the mark


@pytest.fixture
async def second_server(tmp_path: Path) -> AsyncIterator[EmbeddedValkey]:
    """A server that the test may stop."""
    server = EmbeddedValkey(directory=tmp_path)
    server.start()
    yield server
    server.kill()


@pytest.fixture
async def torn_layer(
    settings: Settings, redis_server: EmbeddedValkey, second_server: EmbeddedValkey
) -> AsyncIterator[ShardedChannelLayer]:
    """A layer on both servers."""
    settings.CHANNEL_LAYERS = channel_layers(
        hosts=[redis_server.url, second_server.url], publish_timeout=0.5
    )
    layer = sharded_layer()
    yield layer
    await layer.close()


@ON_APACHE
async def test_brokers_know_what_is_paused(
    brokers: Brokers,
    topic: str,
    torn_layer: ShardedChannelLayer,
    second_server: EmbeddedValkey,
) -> None:
    """A partition that waits for a shard is paused, until the shard is back or its pool gone."""
    pools = Pools(brokers=brokers, topic=topic, layer=torn_layer)
    names = [f"room.{number}" for number in range(100)]
    rooms = [next(n for n in names if torn_layer.shard_of(n) % 2 == odd) for odd in (0, 1)]
    async with AIOKafkaProducer(**brokers.arguments()) as producer:

        async def write(count: int) -> None:
            for partition, room in enumerate(rooms):
                for _ in range(count):
                    await producer.send(topic, b"1", partition=partition, key=room.encode())
            await producer.flush()

        async with pools.running():
            await write(5)
            await until(lambda: has_lag(pools, 0), within=PATIENCE)
            second_server.stop()
            await write(5)
            await until(lambda: are_paused(pools, 1), within=PATIENCE)
            await write(5)  # to be taken, and not wipe the note away
            await until(lambda: has_lag(pools, 10), within=PATIENCE)
            await until(lambda: are_paused(pools, 1), within=PATIENCE)

            await asyncio.to_thread(second_server.start)
            await until(lambda: has_lag(pools, 0), within=PATIENCE)
            await until(lambda: are_paused(pools), within=PATIENCE)

            second_server.stop()
            await write(5)
            await until(lambda: are_paused(pools, 1), within=PATIENCE)
        assert await paused(pools) == []  # nobody reads it: that says more
        assert one(await look(pools), 1).lag == 5


async def paused(pools: Pools) -> list[int]:
    """Return the partitions that are paused."""
    return [each.partition for each in (await look(pools)).partitions if each.is_paused]


async def are_paused(pools: Pools, *partitions: int) -> bool:
    """Say whether these partitions are paused, and no others."""
    return await paused(pools) == list(partitions)


def one(found: GroupLook, partition: int) -> PartitionLook:
    """Return one partition."""
    return found.partitions[partition]


@ON_APACHE
async def test_frozen_broker_ends_in_time(
    brokers: Brokers, any_kafka: object, topic: str, pools: Pools
) -> None:
    """A broker that takes connections and answers nothing does not hang who asks."""
    await look(pools)
    pid = getattr(any_kafka, "pid", None)
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        began = asyncio.get_running_loop().time()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2.0):
                await look(pools)
        assert asyncio.get_running_loop().time() - began < PATIENCE
    finally:
        os.kill(pid, signal.SIGCONT)
