"""What a balancer says of itself. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, Protocol

from shardlayer.balancer.balancer_counters import BalancerCounters
from shardlayer.balancer.socket_file import Peer


class ReportedWorker(Protocol):
    """A worker, as it is reported."""

    name: str
    peer: Peer
    connections: int
    silent: int
    capacity: int
    stalled: bool

    @property
    def waiting(self) -> int: ...


class ReportedPool(Protocol):
    """The workers together, as they are reported."""

    @property
    def connections(self) -> int: ...
    @property
    def capacity(self) -> int: ...
    @property
    def has_room(self) -> bool: ...
    def __len__(self) -> int: ...


def status_of(pool: ReportedPool) -> str:
    """Return `ready`, or why no connection would be served now: `no workers`, `full`."""
    if not len(pool):
        return "no workers"
    return "ready" if pool.has_room else "full"


def details_of(
    pool: ReportedPool,
    workers: Iterable[ReportedWorker],
    counters: BalancerCounters,
    *,
    looked_at: int,
    refusing: int,
) -> dict[str, Any]:
    """Return the body of the health check for operators: figures of each worker and of all.

    Args:
        looked_at: Clients that have not sent a request yet, and for which there is no room.
        refusing: Clients that are reading their 503.
    """
    return {
        "status": status_of(pool),
        "connections": pool.connections,
        "capacity": pool.capacity,
        "looked_at": looked_at,
        "refusing": refusing,
        "workers": [
            {
                "name": worker.name,
                "pid": worker.peer.pid,
                "connections": worker.connections,
                "silent": worker.silent,
                "capacity": worker.capacity,
                "waiting": worker.waiting,
                "stalled": worker.stalled,
            }
            for worker in workers
        ],
        "counters": asdict(counters),
    }
