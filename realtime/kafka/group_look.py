"""The pool as Kafka's brokers know it: who reads which partition, how far, and what waits.

Needs no pool that runs, and no Redis. What only a pool knows, such as how many records a second it
publishes, is not here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from aiokafka import TopicPartition

from realtime.kafka.brokers import Brokers
from realtime.kafka.group_questions import (
    Committed,
    GroupMember,
    asking,
    committed_by,
    members_of,
    partitions_of,
)
from realtime.kafka.letters.filed_letters import bounds, topic_reader
from realtime.kafka.publishing.beginning_notes import counts_in
from realtime.kafka.publishing.pause_notes import is_paused_by


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionLook:
    """A partition of a topic that the group reads.

    Attributes:
        topic: The topic.
        partition: The number there.
        committed: The offset behind the last record that is published; None: none was yet.
        end: The offset behind its last record; of transactions, behind those that ended.
        lag: Records that wait, at most: offsets without a record count too.
        member: Who reads it; None: nobody, or that is not known.
        is_read: Whether somebody reads it; None: the broker has members, and does not tell what
            they read (that of development).
        is_paused: Whether the member waits for a shard, or for its dead letters' topic.
    """

    topic: str
    partition: int
    committed: int | None
    end: int
    lag: int
    member: GroupMember | None
    is_read: bool | None
    is_paused: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupLook:
    """A consumer group and the topics that it reads.

    Attributes:
        group: Its name.
        state: As Kafka calls it: `Stable`, `Empty`, `PreparingRebalance`, …; `Dead`: it has no
            members, and has never committed.
        members: Its consumers, by name.
        partitions: Of all topics, in their order.
        missing: Topics that are not there.
        lag: Records that wait in all of them.
    """

    group: str
    state: str
    members: tuple[GroupMember, ...]
    partitions: tuple[PartitionLook, ...]
    missing: tuple[str, ...]

    @property
    def lag(self) -> int:
        """Return how many records wait in all partitions, at most."""
        return sum(each.lag for each in self.partitions)


async def look_at_group(
    brokers: Brokers, *, topics: Sequence[str], group: str, isolation: str, reset: str
) -> GroupLook:
    """Ask the brokers how a group is; the caller limits the time.

    Args:
        brokers: Where Kafka is.
        topics: What it reads.
        group: Its name.
        isolation: Which records it reads, as `KAFKA_ISOLATION` says.
        reset: Where it starts without a commit, as `KAFKA_AUTO_OFFSET_RESET` says.

    Raises:
        OSError, KafkaError: The brokers do not answer, or do not allow it.
    """
    async with asking(brokers) as admin:
        found = await partitions_of(admin, topics)
        partitions = [key for topic in topics for key in found[topic]]
        state, members = await members_of(admin, group)
        committed = await committed_by(admin, group, partitions)
    async with topic_reader(brokers, isolation=isolation) as consumer:
        known = await bounds(consumer, partitions)
    counts = counts_in({key: committed[key].text for key in partitions})
    readers = {key: member for member in members for key in member.partitions}
    is_told = bool(readers) or not members
    return GroupLook(
        group=group,
        state=state,
        members=tuple(members),
        partitions=tuple(
            _look(
                key,
                known[key],
                committed[key],
                readers.get(key),
                is_told=is_told,
                # A partition that was added to the topic since is read from its first record.
                reset="earliest" if key.partition >= counts.get(key.topic, math.inf) else reset,
            )
            for key in partitions
        ),
        missing=tuple(topic for topic in topics if not found[topic]),
    )


def _look(
    partition: TopicPartition,
    known: range,
    told: Committed,
    member: GroupMember | None,
    *,
    is_told: bool,
    reset: str,
) -> PartitionLook:
    if told.offset is not None:
        begin = max(told.offset, known.start)  # what the topic has let go waits no more
    else:
        begin = known.start if reset == "earliest" else known.stop
    return PartitionLook(
        topic=partition.topic,
        partition=partition.partition,
        committed=told.offset,
        end=known.stop,
        lag=max(0, known.stop - begin),
        member=member,
        is_read=member is not None if is_told else None,
        is_paused=member is not None and is_paused_by(told.text, member.id),
    )
