"""The pool's partitions: what Kafka's brokers say of them, and what the pools said in Redis.

Either may be away. The brokers know all partitions, whether a pool runs or not; the pools know on
which machine one is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from realtime.operations.kafka_look import KafkaLook
from realtime.operations.kafka_status import KafkaStatus, PartitionStatus

if TYPE_CHECKING:
    from realtime.kafka.group_look import PartitionLook


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaPartition:
    """A partition that the pool reads. None is unknown.

    Attributes:
        topic: The topic.
        partition: The number there.
        state: `read`; `paused`: it waits for a shard, or for its dead letters' topic; `unread`: no
            pool reads it; `unknown`.
        reader: Who reads it; empty: nobody, or unknown.
        lag: Records that wait, at most.
        committed: The offset behind the last record that is published, or -1: none was yet.
        end: The offset behind its last record.
    """

    topic: str
    partition: int
    state: str
    reader: str
    lag: int | None = None
    committed: int | None = None
    end: int | None = None


def kafka_partitions(look: KafkaLook, status: KafkaStatus) -> Sequence[KafkaPartition]:
    """Return the partitions, as the brokers know them, or else those that the pools read."""
    hosts = {member.node: f"{member.host}:{member.pid}" for member in status.members}
    group = None if look.group is None else look.group.group
    own = {member.node for member in status.members if group in (None, member.group)}
    told = {(each.topic, each.partition): each for each in status.partitions if each.node in own}
    if look.group is None:
        return [_as_told(each, hosts) for each in told.values()]
    return [
        _as_known(each, told.get((each.topic, each.partition)), hosts)
        for each in look.group.partitions
    ]


def _as_told(told: PartitionStatus, hosts: dict[str, str]) -> KafkaPartition:
    return KafkaPartition(
        topic=told.topic,
        partition=told.partition,
        state="paused" if told.is_paused else "read",
        reader=hosts.get(told.node, told.node),
        lag=told.lag,
        committed=told.position,
    )


def _as_known(
    known: PartitionLook, told: PartitionStatus | None, hosts: dict[str, str]
) -> KafkaPartition:
    if known.is_read is False:  # what a pool said before it went counts no more
        told = None
    if known.is_paused or (told is not None and told.is_paused):
        state = "paused"
    elif known.is_read or told is not None:
        state = "read"
    else:
        state = "unknown" if known.is_read is None else "unread"
    reader = "" if known.member is None else f"{known.member.name}, {known.member.host}"
    return KafkaPartition(
        topic=known.topic,
        partition=known.partition,
        state=state,
        reader=reader if told is None else hosts.get(told.node, told.node),
        lag=known.lag,
        committed=-1 if known.committed is None else known.committed,
        end=known.end,
    )
