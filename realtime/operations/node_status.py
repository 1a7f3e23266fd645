"""What each process of the deployment tells of itself, on whichever machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStatus:
    """One process, as it said last. None is what it does not know, or does not have.

    Attributes:
        id: Names the process; a worker's is the id of its node, as rooms name their nodes.
        role: `worker`, `pool` or `outbox`.
        host: Its machine.
        pid: Its process id there.
        version: Of Shardlayer.
        started: When it began, in Unix seconds.
        age: Seconds since it said this, by the clock of Redis.
        interval: Seconds between two of its reports.
        is_draining: Whether it sends its clients away and ends.
        can_drain: Whether `drain` reaches it: it runs on our own server, and listens.
        connections: That it holds now.
        capacity: That it may hold; 0 is no limit.
        cpu: Percent of one core, of late.
        memory: Bytes of its resident memory.
        tasks: Tasks of its event loop.
        rooms: With members in it, now.
        subscriptions: Memberships of its rooms, now.
        backlog: Bytes of publications that arrived and are not written yet, now.
        deliveries: Messages written to clients, a second.
        publications: That it published, a second.
        loop_delay: Seconds that its event loop was late in 99 of 100 looks of the last minute.
        lease_age: Seconds since the oldest of its leases was renewed.
        lease_ttl: Seconds for which a lease counts.
        unheard: Servers that it listens to and can't hear.
        failing: Tasks that failed and are not known to work again.
        is_lost: Whether it has said nothing for so long that it does not count any more, and did
            not say that it ends: it was killed, or hangs. What stands here is what it said last.
    """

    id: str
    role: str
    host: str
    pid: int
    version: str
    started: float
    age: float
    interval: float = 0.0
    is_draining: bool = False
    can_drain: bool = False
    connections: int | None = None
    capacity: int | None = None
    cpu: float | None = None
    memory: int | None = None
    tasks: int | None = None
    rooms: int | None = None
    subscriptions: int | None = None
    backlog: int | None = None
    deliveries: float | None = None
    publications: float | None = None
    loop_delay: float | None = None
    lease_age: float | None = None
    lease_ttl: float | None = None
    unheard: tuple[str, ...] = ()
    failing: tuple[str, ...] = ()
    is_lost: bool = False

    @property
    def fill(self) -> float | None:
        """Connections of the capacity, from 0 to 1; None where there is no limit."""
        if self.connections is None or not self.capacity:
            return None
        return self.connections / self.capacity

    @property
    def is_late(self) -> bool:
        """Whether it should have said something since: it may be gone, and will be forgotten."""
        return self.interval > 0 and self.age > 2 * self.interval


@dataclass(frozen=True, slots=True, kw_only=True)
class NodesStatus:
    """All processes that tell of themselves.

    Attributes:
        nodes: By role (workers first), host and process id.
        lost: Those that were lost in the last minutes, in the same order. They count nowhere.
        silent: Servers that keep reports and did not answer, and why.
        is_known: Whether `nodes` is to be believed: a server answered, and processes are told to
            report. If not, `nodes` is empty, and that means "unknown".
        why: Why not, in a sentence.
    """

    nodes: tuple[NodeStatus, ...] = ()
    lost: tuple[NodeStatus, ...] = ()
    silent: Mapping[str, str]
    is_known: bool
    why: str = ""
