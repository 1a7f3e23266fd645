"""Where a group begins that reads only what is new, and where it goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Mapping
from typing import cast

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, RecordsToDelete

from demo.embedded import EmbeddedValkey
from realtime.kafka.brokers import Brokers
from realtime.kafka.group_look import look_at_group
from realtime.kafka.membership import GroupMembership
from realtime.kafka.pool import Pool
from realtime.kafka.publishing.beginning_notes import beginning_note
from realtime.kafka.publishing.commits import Commits
from realtime.kafka.reading.consumer import Consumer
from realtime.kafka.reading.size_limits import Limits
from shardlayer import ShardedChannelLayer
from tests.apache_kafka import APACHE
from tests.realtime.kafka.numbered import (
    PARTITIONS,
    ROOMS,
    arrived,
    expected,
    produce,
    published,
)
from tests.realtime.kafka.pools import END, Pools
from tests.realtime.kafka.test_slow_routes import HeldRoute
from tests.waiting import PATIENCE, until

pytestmark = [pytest.mark.slow, pytest.mark.kafka]

ON_APACHE = pytest.mark.parametrize(
    "any_kafka", [pytest.param("apache_kafka", marks=APACHE)], indirect=True
)

BEGUN_WITH_SIX = beginning_note(PARTITIONS - 2)


@pytest.fixture
def pools(pools: Pools) -> Pools:
    """Pools whose group begins with the latest."""
    pools.options = {"auto_offset_reset": "latest"}
    return pools


async def commits(pools: Pools) -> Mapping[int, int]:
    """Return the offsets that the group has committed, by partition."""
    async with AIOKafkaConsumer(
        **pools.brokers.arguments(), group_id=pools.group, enable_auto_commit=False
    ) as consumer:
        found = {
            number: await consumer.committed(TopicPartition(pools.topic, number))
            for number in range(PARTITIONS)
        }
    return {number: offset for number, offset in found.items() if offset is not None}


async def commit(pools: Pools, offsets: Mapping[int, int], text: str) -> None:
    """Commit offsets as a member of the group that has left, with a text beside them."""
    async with AIOKafkaConsumer(
        **pools.brokers.arguments(), group_id=pools.group, enable_auto_commit=False
    ) as consumer:
        partitions = {TopicPartition(pools.topic, key): end for key, end in offsets.items()}
        consumer.assign(list(partitions))
        await consumer.commit({key: (end, text) for key, end in partitions.items()})


async def has_committed_all(pools: Pools) -> bool:
    """Tell whether the group has committed each partition."""
    return len(await commits(pools)) == PARTITIONS


async def lag(pools: Pools) -> int:
    """Return how many records wait for the group, as the brokers tell."""
    found = await look_at_group(
        pools.brokers,
        topics=[pools.topic],
        group=pools.group,
        isolation="read_committed",
        reset="latest",
    )
    return found.lag


def without_the_first(found: Mapping[str, list[bytes]], count: int) -> dict[str, list[bytes]]:
    """Return each room's records without those that were produced first."""
    assert count % ROOMS == 0
    return {room: records[count // ROOMS :] for room, records in found.items()}


async def test_partition_that_stayed_empty_is_not_begun_anew(
    brokers: Brokers, topic: str, redis_layer: ShardedChannelLayer, pools: Pools
) -> None:
    """Records that come while no pool runs are read by the next one."""
    async with pools.running():
        await until(lambda: has_committed_all(pools))
    assert set((await commits(pools)).values()) == {0}
    await produce(brokers, topic, 0, 50)
    async with pools.running():
        await arrived(redis_layer, 50)
    assert await published(redis_layer) == expected(50)


@ON_APACHE  # to the other, the latest is where its last batch begins
async def test_group_that_is_new_skips_what_is_there(
    brokers: Brokers, topic: str, redis_layer: ShardedChannelLayer, pools: Pools
) -> None:
    """It goes on from there, whoever reads on, and whatever came meanwhile."""
    await produce(brokers, topic, 0, 50)
    async with pools.running(consumers=2):
        await until(lambda: has_committed_all(pools))
    await produce(brokers, topic, 50, 50)
    async with pools.running():
        await arrived(redis_layer, 50)
    assert await published(redis_layer) == without_the_first(expected(100), 50)


@ON_APACHE  # the other keeps no text beside an offset
@pytest.mark.parametrize("text", [BEGUN_WITH_SIX, f"{BEGUN_WITH_SIX}; paused by group-0-abc"])
async def test_partition_that_is_new_to_the_group_is_read_from_its_first_record(
    text: str, brokers: Brokers, topic: str, redis_layer: ShardedChannelLayer, pools: Pools
) -> None:
    """The group began with fewer, so it was added to the topic; the brokers' view says so, too."""
    await commit(pools, dict.fromkeys(range(PARTITIONS - 2), 0), text)
    await produce(brokers, topic, 0, 50)
    assert await lag(pools) == 50
    async with pools.running():
        await arrived(redis_layer, 50)
    assert await published(redis_layer) == expected(50)


@ON_APACHE
async def test_partition_between_two_counts_is_read_from_its_first_record(
    brokers: Brokers, topic: str, redis_layer: ShardedChannelLayer, pools: Pools
) -> None:
    """A member saw the topic before it was there, though another one saw it only afterwards."""
    await commit(pools, dict.fromkeys(range(PARTITIONS - 2), 0), BEGUN_WITH_SIX)
    await commit(pools, {PARTITIONS - 1: 0}, beginning_note(PARTITIONS))
    await produce(brokers, topic, 0, 50)
    assert await lag(pools) == 50
    async with pools.running():
        await arrived(redis_layer, 50)
        await until(lambda: has_committed_all(pools))
    assert await published(redis_layer) == expected(50)


@ON_APACHE
@pytest.mark.parametrize("text", [beginning_note(PARTITIONS), "", "paused by group-0-abc"])
async def test_partition_that_the_group_began_with_skips_what_is_there(
    text: str, brokers: Brokers, topic: str, redis_layer: ShardedChannelLayer, pools: Pools
) -> None:
    """Though others have a commit. Without a count, as of older releases, all were there."""
    await produce(brokers, topic, 0, 50)
    await commit(pools, {0: 10}, text)
    assert await lag(pools) == 0
    async with pools.running():
        await until(lambda: has_committed_all(pools))
        await produce(brokers, topic, 50, 50)
        await arrived(redis_layer, 50)
    assert await published(redis_layer) == without_the_first(expected(100), 50)


@ON_APACHE
async def test_group_whose_first_commit_was_its_last_skips_what_is_there(
    brokers: Brokers,
    topic: str,
    redis_layer: ShardedChannelLayer,
    pools: Pools,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its pool was killed between two commits of where its partitions begin."""
    await produce(brokers, topic, 0, 50)
    begin, begun = Commits._begin, 0

    def begin_once(commits: Commits) -> None:
        nonlocal begun
        begun += 1
        if begun == 1:
            begin(commits)
        else:
            commits._waiting.clear()

    async def has_committed() -> bool:
        return bool(await commits(pools))

    with monkeypatch.context() as patch:
        patch.setattr(Commits, "_begin", begin_once)
        async with pools.running():
            await until(has_committed)
    async with pools.running():
        await until(lambda: has_committed_all(pools))
        await produce(brokers, topic, 50, 50)
        await arrived(redis_layer, 50)
    assert await published(redis_layer) == without_the_first(expected(100), 50)


@ON_APACHE
async def test_added_partition_whose_leader_is_away_holds_no_other(
    brokers: Brokers,
    topic: str,
    redis_layer: ShardedChannelLayer,
    pools: Pools,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is asked again, and read from its first record once its leader answers."""
    away = TopicPartition(topic, PARTITIONS - 1)
    ask, is_away = Consumer.beginning_offsets, True

    async def beginning_offsets(
        consumer: Consumer, partitions: Collection[TopicPartition]
    ) -> Mapping[TopicPartition, int]:
        while is_away and away in partitions:  # noqa: ASYNC110 - as aiokafka does
            await asyncio.sleep(0.1)
        return cast(Mapping[TopicPartition, int], await ask(consumer, partitions))

    monkeypatch.setattr(Consumer, "beginning_offsets", beginning_offsets)
    await commit(pools, dict.fromkeys(range(PARTITIONS - 2), 0), BEGUN_WITH_SIX)
    await produce(brokers, topic, 0, 50)
    async with pools.running():
        await arrived(redis_layer, 45)
        await until(lambda: f"{topic}/{away.partition}: no answer" in caplog.text)
        assert away.partition not in await commits(pools)
        is_away = False
        await arrived(redis_layer, 50)
        await until(lambda: "leader of a new partition is back" in caplog.text)
    assert await published(redis_layer) == expected(50)


@ON_APACHE
async def test_partition_that_is_new_and_has_lost_its_first_records(
    brokers: Brokers, topic: str, redis_layer: ShardedChannelLayer, pools: Pools
) -> None:
    """It is read from the first that is left: what is out of range would mean the latest."""
    await commit(pools, dict.fromkeys(range(PARTITIONS - 2), 0), BEGUN_WITH_SIX)
    await produce(brokers, topic, 0, 100)
    admin = AIOKafkaAdminClient(**brokers.arguments())
    await admin.start()
    try:
        gone = {TopicPartition(topic, PARTITIONS - 1): RecordsToDelete(before_offset=5)}
        await admin.delete_records(gone)
    finally:
        await admin.close()
    async with pools.running():
        await arrived(redis_layer, 95)
    assert sum(map(len, (await published(redis_layer)).values())) == 95


@ON_APACHE
async def test_partitions_that_are_added_to_a_topic(
    brokers: Brokers, topic: str, redis_layer: ShardedChannelLayer, pools: Pools
) -> None:
    """A pool that runs reads what they held before it heard of them."""
    pools.options["metadata_max_age_ms"] = 1_000
    admin = AIOKafkaAdminClient(**brokers.arguments())
    await admin.start()
    try:
        async with pools.running():
            await until(lambda: has_committed_all(pools))
            await admin.create_partitions({topic: NewPartitions(total_count=PARTITIONS + 2)})
            await produce(brokers, topic, 0, 50, partitions=PARTITIONS + 2)
            await arrived(redis_layer, 50)
    finally:
        await admin.close()
    assert await published(redis_layer) == expected(50)


async def test_beginning_is_not_committed_before_its_marks_are_known(
    redis_server: EmbeddedValkey, topic: str, pools: Pools, caplog: pytest.LogCaptureFixture
) -> None:
    """A commit says that the log is the one that was published, which nobody knows yet."""
    redis_server.stop()
    async with pools.running() as pool:
        await until(lambda: knows_where_to_begin(pool))
        await until(lambda: "Redis is not available" in caplog.text)
        assert await commits(pools) == {}
        redis_server.start()
        await until(lambda: has_committed_all(pools))


async def first_records_are_held(
    redis_server: EmbeddedValkey, pools: Pools, pool: Pool, route: HeldRoute
) -> None:
    """Have a route held at the first records, which came before their partitions' marks."""
    await until(lambda: knows_where_to_begin(pool))
    await produce(pools.brokers, pools.topic, 0, 50)
    redis_server.start()
    await until(lambda: route.held)


@pytest.fixture
def held_route(pools: Pools) -> Iterator[HeldRoute]:
    """The pools' route, which is held at the first record that it gets."""
    pools.limits = Limits(payload=1000, route_time=2 * PATIENCE)
    pools.route = route = HeldRoute(0)
    yield route
    route.goes_on.set()


@pytest.fixture
def patient_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that is slow on a busy machine gets the last commit, too."""
    monkeypatch.setattr("realtime.kafka.membership.COMMIT_GRACE", END / 3)
    monkeypatch.setattr("realtime.kafka.pool.END_GRACE", END / 2)


@pytest.mark.usefixtures("patient_end")
async def test_pool_that_stops_while_its_first_records_are_routed(
    redis_server: EmbeddedValkey,
    redis_layer: ShardedChannelLayer,
    pools: Pools,
    held_route: HeldRoute,
) -> None:
    """It has committed where their partitions begin, and those of the records behind them."""
    redis_server.stop()
    async with pools.running() as pool:
        await first_records_are_held(redis_server, pools, pool, held_route)
    held_route.goes_on.set()
    assert set((await commits(pools)).values()) == {0}
    async with pools.running():
        await arrived(redis_layer, 50)
    assert await published(redis_layer) == expected(50)


@pytest.mark.usefixtures("patient_end")
async def test_partitions_that_go_to_others_while_their_first_records_are_routed(
    redis_server: EmbeddedValkey,
    redis_layer: ShardedChannelLayer,
    pools: Pools,
    held_route: HeldRoute,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """They are read from where they began."""
    caplog.set_level("INFO", "realtime")
    redis_server.stop()
    async with pools.running() as pool:
        await first_records_are_held(redis_server, pools, pool, held_route)
        async with pools.running():
            await until(lambda: caplog.text.count("Reading 4 partition(s)") >= 2)
            held_route.goes_on.set()
            await arrived(redis_layer, 50)
    assert await published(redis_layer) == expected(50)


async def test_beginnings_are_committed_while_the_first_route_goes_on(
    redis_server: EmbeddedValkey, pools: Pools, held_route: HeldRoute
) -> None:
    """A pool that is killed has committed them, too."""
    redis_server.stop()
    async with pools.running() as pool:
        await first_records_are_held(redis_server, pools, pool, held_route)
        await until(lambda: has_committed_all(pools))
        held_route.goes_on.set()


@pytest.mark.usefixtures("patient_end")
@pytest.mark.parametrize("has_records", [False, True])
async def test_pool_that_stops_before_it_looks_at_its_partitions(
    has_records: bool, topic: str, pools: Pools, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It commits where they begin, as far as it is known."""
    looking: list[GroupMembership] = []
    in_hand = asyncio.Event()

    async def look_in_vain(membership: GroupMembership, batches: object) -> None:
        looking.append(membership)
        if bool(batches) == has_records:
            in_hand.set()
            await asyncio.Event().wait()

    def is_known() -> bool:
        membership = looking[-1]  # the latest, if the consumer had to join anew
        ends = [
            membership._consumer.highwater(TopicPartition(topic, number))
            for number in range(PARTITIONS)
        ]
        return membership._marks.are_known and None not in ends

    monkeypatch.setattr(GroupMembership, "_look_around", look_in_vain)
    async with pools.running():
        await until(lambda: looking)
        await until(is_known)
        await produce(pools.brokers, topic, 0, 50)
        await until(in_hand.is_set)
    assert set((await commits(pools)).values()) == {0}
    assert await has_committed_all(pools)


def knows_where_to_begin(pool: Pool) -> bool:
    """Tell whether a pool has asked for the ends of all partitions."""
    return sum(each.position is not None for each in pool.partitions()) == PARTITIONS
