"""The workers together: shares, room, turns."""

from __future__ import annotations

from dataclasses import dataclass

from shardlayer.balancer.peeking import FirstBytes
from shardlayer.balancer.worker_pool import TLS_REFUSALS, WorkerPool


@dataclass(eq=False)
class Worker:
    """A worker that takes all it is given."""

    own_capacity: int = 0
    connections: int = 0
    silent: int = 0
    capacity: int = 0
    reserve: int = 0
    takes: bool = True
    stalled: bool = False

    def take_share(self, capacity: int, reserve: int) -> None:
        """Hold so many."""
        self.capacity, self.reserve = capacity, reserve


def fill(pool: WorkerPool[Worker], wanted: FirstBytes | None = None) -> int:
    """Let connections come until there is no room; return how many found a place."""
    count = 0
    while worker := pool.pick(wanted):
        worker.connections += 1
        count += 1
        assert count < 100_000
    return count


def has_room(pool: WorkerPool[Worker]) -> bool:
    """Say whether an ordinary connection would find a place."""
    return pool.has_room


def test_shares_follow_who_is_there() -> None:
    """Each worker that comes or goes changes what the others may hold."""
    pool: WorkerPool[Worker] = WorkerPool(1_000, 10)
    first, second = Worker(), Worker(own_capacity=300)
    pool.join(first)
    assert (first.capacity, first.reserve) == (1_000, 10)
    pool.join(second)
    assert (first.capacity, second.capacity, first.reserve) == (700, 300, 5)
    pool.leave(first)
    assert (second.capacity, second.reserve) == (300, 10)
    assert list(pool) == [second]


def test_full_house() -> None:
    """All find a place up to the capacity; pages beyond that, up to the reserve; then TLS."""
    pool: WorkerPool[Worker] = WorkerPool(100, 10)
    for _ in range(2):
        pool.join(Worker())
    assert has_room(pool)
    assert fill(pool) == 100
    assert not has_room(pool)
    assert pool.pick(FirstBytes.WEBSOCKET) is None
    assert fill(pool, FirstBytes.PAGE) == 10
    assert fill(pool, FirstBytes.TLS) == 2 * TLS_REFUSALS


def test_silent_connections() -> None:
    """Those who ask for something have their places, up to the capacity of all."""
    pool: WorkerPool[Worker] = WorkerPool(10, 1)
    pool.join(Worker(connections=10, silent=4))
    assert pool.pick() is None
    assert pool.pick(FirstBytes.OTHER) is None
    assert has_room(pool)
    assert fill(pool, FirstBytes.WEBSOCKET) == 4
    assert fill(pool, FirstBytes.PAGE) == 1
    assert not has_room(pool)


def test_a_late_worker_does_not_raise_the_total() -> None:
    """Those who are there may hold more than their share by then."""
    pool: WorkerPool[Worker] = WorkerPool(100, 0)
    pool.join(Worker())
    assert fill(pool) == 100
    late = Worker()
    pool.join(late)
    assert pool.pick() is None
    next(iter(pool)).connections -= 1
    assert pool.pick() is late


def test_no_limit_and_no_worker() -> None:
    """0 connections is no limit; without a worker there is no room all the same."""
    pool: WorkerPool[Worker] = WorkerPool(0, 10)
    assert not has_room(pool)
    assert pool.pick(FirstBytes.TLS) is None
    pool.join(Worker(connections=10**6))
    assert has_room(pool)
    assert pool.capacity == 0
