"""Marks that lie beyond the end of their log are forgotten."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError

from demo.embedded import EmbeddedTansu, EmbeddedValkey
from realtime.kafka.brokers import Brokers
from realtime.kafka.membership import GroupMembership, MadeAgain, Rejoin
from realtime.kafka.publishing.marks import PartitionMarks, announcements_of
from realtime.kafka.publishing.partitions import source_of
from realtime.outage import Outage
from shardlayer import Mark, ShardedChannelLayer, ShardUnavailable
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

PARTITION = TopicPartition("events", 3)
SOURCE = source_of(PARTITION)
LAST = 99  # the offset of the last record that was published
SOON = 30.0  # seconds


@pytest.fixture
async def layer(memory_layer: ShardedChannelLayer) -> ShardedChannelLayer:
    """A layer that took a partition's records up to an offset, and an announcement."""
    await memory_layer.publish_marked(
        [(f"room.{number}", b"1", Mark(SOURCE, number)) for number in range(LAST + 1)]
    )
    await memory_layer.announce(b"1", mark=Mark(announcements_of(SOURCE), 50))
    return memory_layer


def marks_of(layer: ShardedChannelLayer) -> PartitionMarks:
    """Return marks that ask a layer."""
    return PartitionMarks(layer, Outage("Redis", logging.getLogger("realtime.test")))


@pytest.mark.parametrize(("log_end", "stay"), [(LAST + 1, True), (LAST, False), (0, False)])
async def test_marks_stay_while_their_record_may_be_there(
    log_end: int, stay: bool, layer: ShardedChannelLayer, caplog: pytest.LogCaptureFixture
) -> None:
    """A log that ends before the last published record is another one: that is told."""
    kept = marks_of(layer)
    kept.ask({PARTITION: SOURCE})
    assert await kept.known(within=SOON)
    if kept.lie_beyond(PARTITION, log_end):
        await kept.forget(PARTITION, log_end=log_end)
        assert not kept.lie_beyond(PARTITION, log_end)
    marks = await layer.marks([SOURCE, announcements_of(SOURCE)])
    assert [mark is not None for mark in marks.values()] == [stay, stay]
    assert ("Its marks are forgotten" in caplog.text) is not stay


async def test_new_partition_has_no_marks(memory_layer: ShardedChannelLayer) -> None:
    """One that was never published has none that lie beyond its end."""
    kept = marks_of(memory_layer)
    kept.ask({PARTITION: SOURCE})
    assert await kept.known(within=SOON)
    assert not kept.lie_beyond(PARTITION, 0)


async def test_asked_until_redis_answers(
    redis_layer: ShardedChannelLayer,
    redis_server: EmbeddedValkey,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """While a shard is away the marks are unknown; who waits for them is called."""
    await asyncio.to_thread(redis_server.stop)
    called = asyncio.Event()
    kept = marks_of(redis_layer)
    kept.ask({PARTITION: SOURCE})
    kept.when_known(called.set)
    await until(lambda: "Redis is not available" in caplog.text)
    assert await kept.known(within=0) is False
    await asyncio.to_thread(redis_server.start)
    await asyncio.wait_for(called.wait(), SOON)
    assert await kept.known(within=0) is True
    await kept.aclose()


class SilentLayer:
    """A layer none of whose shards answers."""

    async def marks(self, sources: object) -> dict[str, Mark | None]:
        """Wait for good."""
        await asyncio.Event().wait()
        raise AssertionError


@pytest.mark.parametrize("asks_again", [False, True])
@pytest.mark.parametrize("within", [0, SOON])
async def test_partitions_are_dealt_out_anew_while_marks_are_waited_for(
    within: float, asks_again: bool
) -> None:
    """Who waits learns that what it asked for is not known, whatever is asked for by then."""
    kept = marks_of(SilentLayer())  # type: ignore[arg-type]
    kept.ask({PARTITION: SOURCE})
    waiting = asyncio.create_task(kept.known(within=within))
    await asyncio.sleep(0)  # it waits from now on
    kept.drop()
    if asks_again:
        kept.ask({PARTITION: SOURCE})
    assert await waiting is False
    await kept.aclose()


class HalfAwayLayer:
    """A layer one of whose shards answered at first.

    Attributes:
        asked: How often marks were to be forgotten.
    """

    def __init__(self) -> None:
        self.asked = 0

    async def marks(self, sources: Sequence[str]) -> dict[str, Mark | None]:
        """Return a mark for each."""
        return {source: Mark(source, LAST) for source in sources}

    async def forget_marks(self, sources: object) -> None:
        """Fail."""
        self.asked += 1
        raise ShardUnavailable(shard=0, server="here")


async def test_partitions_are_dealt_out_anew_while_marks_are_forgotten() -> None:
    """They are another reader's by then, and may be newer."""
    layer = HalfAwayLayer()
    kept = marks_of(layer)  # type: ignore[arg-type]
    kept.ask({PARTITION: SOURCE})
    assert await kept.known(within=SOON)
    forgetting = asyncio.create_task(kept.forget(PARTITION, log_end=LAST))
    await until(lambda: layer.asked)
    kept.drop()
    asked = layer.asked
    await asyncio.wait_for(forgetting, SOON)
    assert layer.asked == asked


@pytest.mark.kafka
@pytest.mark.parametrize("any_kafka", [pytest.param("apache_kafka", marks=APACHE)], indirect=True)
@pytest.mark.parametrize("new", [50, 100, 200])
async def test_topic_made_again(
    new: int,
    any_kafka: ApacheKafka,
    brokers: Brokers,
    redis_layer: ShardedChannelLayer,
    pools: Pools,
) -> None:
    """A topic that was deleted and made again is published from its beginning, however long."""
    topic = pools.topic = f"again-{uuid4().hex[:8]}"
    await asyncio.to_thread(any_kafka.create_topic, topic, partitions=PARTITIONS)
    await produce(brokers, topic, 0, 100)
    async with pools.running():
        await arrived(redis_layer, 100)
    await make_again(any_kafka, brokers, topic)
    await produce(brokers, topic, 100, new)
    async with pools.running():
        await arrived(redis_layer, 100 + new)
    assert await published(redis_layer) == expected(100 + new)


@pytest.mark.kafka
@pytest.mark.parametrize("any_kafka", [pytest.param("apache_kafka", marks=APACHE)], indirect=True)
@pytest.mark.parametrize("trouble", ["none", "another reason", "no commit"])
async def test_topic_made_again_under_a_pool(
    trouble: str,
    any_kafka: ApacheKafka,
    brokers: Brokers,
    redis_layer: ShardedChannelLayer,
    pools: Pools,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is noticed, though the new topic has at once more than the pool has read of the old.

    Also when the step that is under way then ends the membership for another reason, and when the
    group takes no commit while it ends.
    """
    if trouble == "another reason":
        monkeypatch.setattr(GroupMembership, "_step", step_that_ends_otherwise)
    elif trouble == "no commit":
        monkeypatch.setattr(GroupMembership, "_finish", RefusedOnce().finish)
    topic = pools.topic = f"again-{uuid4().hex[:8]}"
    await asyncio.to_thread(any_kafka.create_topic, topic, partitions=PARTITIONS)
    await produce(brokers, topic, 0, 100)
    async with pools.running():
        await arrived(redis_layer, 100)
        await make_again(any_kafka, brokers, topic)
        await produce(brokers, topic, 100, 200)
        await arrived(redis_layer, 300)
    found = without_repeats(await published(redis_layer))
    assert {room: sorted(records) for room, records in found.items()} == {
        room: sorted(records) for room, records in expected(300).items()
    }


_step = GroupMembership._step


async def step_that_ends_otherwise(membership: GroupMembership) -> None:
    """Step, and give another reason where the membership ends since a topic was made again."""
    try:
        await _step(membership)
    except MadeAgain as error:
        raise Rejoin("a partition begins anew") from error


_finish = GroupMembership._finish


class RefusedOnce:
    """The group takes no commit of the first membership that ends."""

    def __init__(self) -> None:
        self._was_refused = False

    @property
    def finish(self) -> Callable[[GroupMembership], Awaitable[None]]:
        """What takes the place of a membership's own method."""

        async def finish(membership: GroupMembership) -> None:
            if not self._was_refused:
                self._was_refused = True
                membership._consumer.commit = refuse  # type: ignore[method-assign]
            await _finish(membership)

        return finish


async def refuse(offsets: object) -> None:
    """Commit nothing."""
    raise CommitFailedError


async def make_again(kafka: ApacheKafka, brokers: Brokers, topic: str) -> None:
    """Delete a topic, and make an empty one of its name."""
    await remove_topic(brokers, topic)
    await asyncio.to_thread(kafka.create_topic, topic, partitions=PARTITIONS)


@pytest.mark.kafka
async def test_broker_that_lost_its_data(
    tmp_path: Path, redis_layer: ShardedChannelLayer, caplog: pytest.LogCaptureFixture
) -> None:
    """A broker that comes back empty under a running pool is read from its new beginning."""
    topic = f"lost-{uuid4().hex[:8]}"
    partitions = 4  # as many as the broker makes itself, if the pool asks for the topic first
    with EmbeddedTansu(directory=tmp_path, topics={topic: partitions}) as broker:
        brokers = Brokers(servers=[broker.bootstrap_servers], options={})
        await produce(brokers, topic, 0, 100, partitions=partitions)
        async with Pools(brokers=brokers, topic=topic, layer=redis_layer).running():
            await arrived(redis_layer, 100)
            await asyncio.to_thread(broker.stop)
            await asyncio.to_thread(broker.start)
            await produce(brokers, topic, 100, 50, partitions=partitions)
            await arrived(redis_layer, 150)
    assert await published(redis_layer) == expected(150)
