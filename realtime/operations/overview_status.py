"""The whole deployment at a glance: totals, the last minutes, and what hurts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Something that an operator should know.

    Attributes:
        kind: `down`, `slow`, `full`, `late`, `failing`, `paused`, `lag`, `draining` or `unknown`.
        where: `server`, `shard`, `node`, `kafka` or `reports`: which page says more.
        name: The server's address, the shard's number, the node's id, or the topic; may be empty.
        text: A sentence.
    """

    kind: str
    where: str
    name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecentTotals:
    """The last minutes, all processes together, those that are gone meanwhile too.

    Attributes:
        step: Seconds of each value.
        ends: When the last value's time ends, in Unix seconds by the clock of Redis.
        series: By name, all of one length, oldest first; None: nobody told anything then. Names:
            `connections`, `subscriptions` (means); `deliveries`, `publications`, `records`,
            `errors` (a second); `lag` (mean).
    """

    step: float
    ends: float
    series: Mapping[str, tuple[float | None, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """Totals of all nodes now. None is unknown.

    Attributes:
        workers, pools, relays: How many processes there are of each role.
        connections: That all workers hold.
        capacity: That they may hold; 0: one of them has no limit.
        subscriptions: Memberships of rooms.
        rooms: With members somewhere, at least; at most `rooms_most`.
        rooms_most: The sum of what the nodes say; the same room on two nodes counts twice.
        deliveries: Messages written to clients, a second.
        publications: A second.
        records: Of Kafka, published a second.
        lag: Records of Kafka that wait.
        shards_up: Shards whose server answers.
        shards: How many there are.
        servers_up: Redis servers that answer.
        servers: How many there are.
        memory: Bytes that the data of the servers that answered take.
        recent: The last minutes; None: unknown.
        troubles: What is down, slow or full; the worst first.
        silent: Servers that did not answer, and why.
        is_known: Whether the processes' figures are known at all.
    """

    workers: int | None = None
    pools: int | None = None
    relays: int | None = None
    connections: int | None = None
    capacity: int | None = None
    subscriptions: int | None = None
    rooms: int | None = None
    rooms_most: int | None = None
    deliveries: float | None = None
    publications: float | None = None
    records: float | None = None
    lag: int | None = None
    shards_up: int | None = None
    shards: int
    servers_up: int
    servers: int
    memory: int | None = None
    recent: RecentTotals | None = None
    troubles: tuple[Trouble, ...] = ()
    silent: Mapping[str, str]
    is_known: bool
