"""Who the workers are, what each may hold, and whose turn it is. No I/O."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

from shardlayer.balancer.capacity_split import split_capacity
from shardlayer.balancer.choosing import Candidate, choose, places_taken
from shardlayer.balancer.peeking import FirstBytes

_ASKS = (FirstBytes.PAGE, FirstBytes.WEBSOCKET, FirstBytes.TLS)

# Connections that a worker may hold beyond all else, to tell each in TLS that there is no room.
TLS_REFUSALS = 250


class PooledWorker(Candidate, Protocol):
    """A worker, as the pool keeps it.

    Attributes:
        own_capacity: What it can hold by its own account; 0 is no limit.
    """

    own_capacity: int

    def take_share(self, capacity: int, reserve: int) -> None: ...


Worker = TypeVar("Worker", bound=PooledWorker)


class WorkerPool(Generic[Worker]):
    """The workers that have joined.

    Args:
        max_connections: Of all workers together; 0 is no limit.
        reserve: Connections beyond that, for pages.
    """

    def __init__(self, max_connections: int, reserve: int) -> None:
        self.max_connections = max_connections
        self.reserve = reserve
        self._workers: list[Worker] = []
        self._last = -1  # index of whom was chosen last

    def __iter__(self) -> Iterator[Worker]:
        return iter(self._workers)

    def __len__(self) -> int:
        return len(self._workers)

    def __contains__(self, worker: object) -> bool:
        return worker in self._workers

    @property
    def connections(self) -> int:
        """What all workers hold together, and were handed."""
        return sum(worker.connections for worker in self._workers)

    @property
    def capacity(self) -> int:
        """What all workers may hold together; 0 is no limit."""
        capacities = [worker.capacity for worker in self._workers]
        return 0 if 0 in capacities else sum(capacities)

    @property
    def has_room(self) -> bool:
        """Whether a connection would find a worker, whatever it asks for."""
        return self._choose(FirstBytes.WEBSOCKET) is not None

    def join(self, worker: Worker) -> None:
        """Add a worker, and tell each its share."""
        self._workers.append(worker)
        self._split()

    def leave(self, worker: Worker) -> None:
        """Remove a worker, and give its share to the others."""
        self._workers.remove(worker)
        self._last = min(self._last, len(self._workers) - 1)
        self._split()

    def pick(self, wanted: FirstBytes | None = None) -> Worker | None:
        """Return the worker for a connection and take it as chosen, or None without room.

        Args:
            wanted: What the connection wants, if that is known. Then it has the places of those
                that are silent. Pages may use the reserve. TLS may as well, since it may want a
                page; a worker tells those for whom there is no room.
        """
        index = self._choose(wanted)
        if index is None:
            return None
        self._last = index
        return self._workers[index]

    def _choose(self, wanted: FirstBytes | None = None) -> int | None:
        asks = wanted in _ASKS
        into_reserve = wanted in (FirstBytes.PAGE, FirstBytes.TLS)
        beyond = TLS_REFUSALS if wanted is FirstBytes.TLS else 0
        if self.max_connections:
            # Those who joined later find the others with more than their share.
            limit = self.max_connections + (self.reserve if into_reserve else 0)
            places = sum(places_taken(worker, asks=asks) for worker in self._workers)
            if places >= limit + beyond * len(self._workers):
                return None
        return choose(
            self._workers,
            after=self._last,
            asks=asks,
            into_reserve=into_reserve,
            beyond=beyond,
        )

    def _split(self) -> None:
        count = len(self._workers)
        shares = split_capacity(
            self.max_connections, [worker.own_capacity for worker in self._workers]
        )
        reserve = -(-self.reserve // count) if count else 0
        for worker, share in zip(self._workers, shares, strict=True):
            worker.take_share(share, reserve)
