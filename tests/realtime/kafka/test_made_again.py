"""A topic that was made again is read from its beginning, whoever had it when it was deleted."""

from __future__ import annotations

import asyncio

import pytest

from realtime.kafka.brokers import Brokers
from realtime.kafka.membership import GroupMembership
from realtime.kafka.pool import Pool
from shardlayer import ShardedChannelLayer
from tests.apache_kafka import APACHE, ApacheKafka
from tests.realtime.kafka.numbered import (
    PARTITIONS,
    arrived,
    expected,
    produce,
    published,
    without_repeats,
)
from tests.realtime.kafka.pools import Pools
from tests.realtime.kafka.topics import remove_topic
from tests.waiting import until

pytestmark = [pytest.mark.kafka, *APACHE]


@pytest.fixture
def any_kafka(apache_kafka: ApacheKafka) -> ApacheKafka:
    """A real one: its topics have ids."""
    return apache_kafka


@pytest.mark.parametrize("consumers", [1, 2])
async def test_made_again_while_no_member_has_any_of_it(
    consumers: int,
    any_kafka: ApacheKafka,
    brokers: Brokers,
    topic: str,
    pools: Pools,
    redis_layer: ShardedChannelLayer,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What came before the group dealt it out is read, though groups begin at the latest record."""
    may_look = asyncio.Event()
    look = GroupMembership._look_at_topics

    async def look_when_allowed(self: GroupMembership) -> bool:
        await may_look.wait()
        return await look(self)

    caplog.set_level("INFO", "realtime")
    monkeypatch.setattr(GroupMembership, "_look_at_topics", look_when_allowed)
    may_look.set()
    pools.options = {"auto_offset_reset": "latest"}
    async with pools.running(consumers=consumers) as pool:
        await until(lambda: knows_where_to_begin(pool))
        await produce(brokers, topic, 0, 50)
        await arrived(redis_layer, 50)
        await remove_topic(brokers, topic)
        await until(lambda: caplog.text.count("Reading 0 partition(s)") >= consumers)
        may_look.clear()
        await asyncio.to_thread(any_kafka.create_topic, topic, partitions=PARTITIONS)
        await produce(brokers, topic, 50, 50)
        may_look.set()
        await arrived(redis_layer, 100)
        await produce(brokers, topic, 100, 10)
        await arrived(redis_layer, 110)
    assert without_repeats(await published(redis_layer)) == expected(110)
    assert caplog.text.count("made again; joining the group again") <= 2 * consumers


def knows_where_to_begin(pool: Pool) -> bool:
    """Tell whether a pool has asked for the ends of all partitions."""
    known = [each for each in pool.partitions() if each.position is not None]
    return len(known) == PARTITIONS
