"""What the pools tell of Kafka: their members, their partitions, what waits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolMember:
    """A process of the pool.

    Attributes:
        node: The process's id, as in `NodeStatus`.
        host: Its machine.
        pid: Its process id there.
        age: Seconds since it said this.
        group: The consumer group.
        topics: What it reads.
        consumers: How many it runs.
        records: That it published, a second.
        skipped: Bad records since it began.
        record_age: Seconds from a record's timestamp to Redis, in 99 of 100 batches of the last
            minute; None without any.
    """

    node: str
    host: str
    pid: int
    age: float
    group: str
    topics: tuple[str, ...] = ()
    consumers: int | None = None
    records: float | None = None
    skipped: int | None = None
    record_age: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionStatus:
    """A partition that a member reads.

    Attributes:
        topic: The topic.
        partition: The number there.
        node: The id of the process that reads it.
        lag: Records that wait, or are not delivered; None: nothing was fetched yet.
        position: The offset that is read next.
        is_paused: Whether it waits for a shard, or for its dead letters' topic.
    """

    topic: str
    partition: int
    node: str
    lag: int | None = None
    position: int | None = None
    is_paused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaStatus:
    """The pool, of all machines.

    Attributes:
        groups: The consumer groups.
        members: By group, host and process id.
        partitions: By topic and number. What no member reads is not there.
        lag: Records that wait in all of them; None: unknown.
        paused: Partitions that are paused.
        records: Published by all members, a second.
        dead_letters: By topic (their own, not that of the letters): how many are kept and were
            sent again by no replay, as a member saw last; None: unknown.
        silent: Servers that keep reports and did not answer, and why.
        is_known: Whether this is to be believed; if not, all of it is empty, and means "unknown".
        why: Why not, in a sentence.
    """

    groups: tuple[str, ...] = ()
    members: tuple[PoolMember, ...] = ()
    partitions: tuple[PartitionStatus, ...] = ()
    lag: int | None = None
    paused: int | None = None
    records: float | None = None
    dead_letters: Mapping[str, int] | None = None
    silent: Mapping[str, str]
    is_known: bool
    why: str = ""
