"""Transactions: what was aborted is not published, and their marks leave no lag."""

from __future__ import annotations

import asyncio
from functools import partial
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer

from realtime.kafka.brokers import Brokers
from shardlayer import ShardedChannelLayer
from tests.apache_kafka import APACHE, ApacheKafka
from tests.realtime.kafka.pools import Pools
from tests.realtime.kafka.transactions import write
from tests.waiting import PATIENCE, until

pytestmark = [pytest.mark.kafka, *APACHE]


@pytest.fixture
def any_kafka(apache_kafka: ApacheKafka) -> ApacheKafka:
    """A real one."""
    return apache_kafka


async def has(layer: ShardedChannelLayer, *expected: bytes) -> bool:
    """Say whether the room has that and nothing else."""
    return [item.data for item in await layer.history("a")] == list(expected)


async def test_aborted_transactions_are_not_published(
    brokers: Brokers, topic: str, redis_layer: ShardedChannelLayer, pools: Pools
) -> None:
    """Committed ones are; a pool that starts behind them, and reads on, is the same."""
    await write(brokers, topic, b"1", b"2")
    await write(brokers, topic, b"3", b"4", abort=True)
    await write(brokers, topic, b"5")
    async with pools.running():
        await until(partial(has, redis_layer, b"1", b"2", b"5"), PATIENCE)
        await write(brokers, topic, b"6", abort=True)
        await write(brokers, topic, b"7")
        await until(partial(has, redis_layer, b"1", b"2", b"5", b"7"), PATIENCE)


async def test_uncommitted_may_be_asked_for(
    brokers: Brokers, topic: str, redis_layer: ShardedChannelLayer, pools: Pools
) -> None:
    """A setting says so."""
    pools.isolation = "read_uncommitted"
    await write(brokers, topic, b"1", abort=True)
    await write(brokers, topic, b"2")
    async with pools.running() as pool:
        await until(partial(has, redis_layer, b"1", b"2"), PATIENCE)
        await until(lambda: pools.have_committed(4), PATIENCE)
        assert pool.lag() == 0


@pytest.mark.parametrize("abort", [False, True])
async def test_marks_leave_no_lag(
    abort: bool,
    brokers: Brokers,
    topic: str,
    redis_layer: ShardedChannelLayer,
    pools: Pools,
) -> None:
    """The offset behind them is committed, also by a pool that finds nothing else."""
    await write(brokers, topic, b"1", b"2")
    async with pools.running() as pool:
        await until(lambda: pools.have_committed(3), PATIENCE)
        assert pool.lag() == 0
    await write(brokers, topic, b"3", b"4", abort=True)
    if not abort:
        await write(brokers, topic, b"5")
    end = 6 if abort else 8
    async with pools.running() as pool:
        await until(partial(pools.have_committed, end), PATIENCE)
        await until(lambda: pool.lag() == 0)


async def test_open_transaction_is_waited_for(
    brokers: Brokers, topic: str, redis_layer: ShardedChannelLayer, pools: Pools
) -> None:
    """What comes behind it is published when it ends, in order."""
    arguments = brokers.arguments()
    async with pools.running() as pool:
        async with (
            AIOKafkaProducer(**arguments, transactional_id=f"t-{uuid4().hex}") as producer,
            producer.transaction(),
        ):
            await producer.send_and_wait(topic, b"1", key=b"a", partition=0)
            await write(brokers, topic, b"2")
            async with AIOKafkaProducer(**arguments) as plain:
                await plain.send_and_wait(topic, b"0", key=b"b", partition=1)
            await until(lambda: redis_layer.history("b"), PATIENCE)
            assert await has(redis_layer)
            await until(lambda: pool.lag() == 0)  # nothing that it may read waits
        await until(partial(has, redis_layer, b"1", b"2"), PATIENCE)
        await until(lambda: pools.have_committed(5), PATIENCE)


async def test_crash_in_the_middle(
    brokers: Brokers, topic: str, redis_layer: ShardedChannelLayer, pools: Pools
) -> None:
    """Pools that vanish between transactions publish each record once."""
    pools.session_timeout = 1000  # the group soon gives up those that vanish
    for number in range(30):
        await write(brokers, topic, b"%d" % number, abort=number % 3 == 0)
    expected = [b"%d" % number for number in range(30) if number % 3]
    for count in (3, 9):
        pool = asyncio.create_task(pools.make().run(asyncio.Event()))
        await until(partial(_at_least, redis_layer, count), PATIENCE)
        pool.cancel()
        await asyncio.wait([pool])
    async with pools.running():
        await until(partial(has, redis_layer, *expected), PATIENCE)
        await until(lambda: pools.have_committed(60), PATIENCE)


async def _at_least(layer: ShardedChannelLayer, count: int) -> bool:
    return len(await layer.history("a")) >= count
