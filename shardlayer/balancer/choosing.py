"""Which worker gets the next connection. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Candidate(Protocol):
    """A worker, as it is chosen.

    Attributes:
        connections: What it holds, and what it was handed and has not acknowledged.
        silent: Those of them that have asked for nothing, wait for their next request, or were
            refused.
        capacity: What it may hold; 0 is no limit.
        reserve: What it may hold beyond that for pages.
        takes: Whether it can be handed connections now.
        stalled: Whether it has not acknowledged any for a while.
    """

    connections: int
    silent: int
    capacity: int
    reserve: int
    takes: bool
    stalled: bool


def places_taken(worker: Candidate, *, asks: bool) -> int:
    """Return how many places of a worker are taken for a connection.

    Args:
        worker: Which.
        asks: Whether the connection is known to ask for something. Those that are silent take
            nobody's place then. For one that may be silent itself they count, so that there are
            never more of these than places.
    """
    return worker.connections - (worker.silent if asks else 0)


def choose(
    workers: Sequence[Candidate],
    *,
    after: int,
    asks: bool = False,
    into_reserve: bool = False,
    beyond: int = 0,
) -> int | None:
    """Return the index of the worker with the fewest connections that has room, None without one.

    A worker that is stalled counts only if all that have room are stalled: it may go on at any
    moment. If several have equally few, it is the next one after the index `after`, and after the
    last comes the first. So workers that hold equally many take turns, and arrivals alone never
    leave a difference of more than one between workers that have room.

    Args:
        asks: As in `places_taken`.
        into_reserve: Whether the reserve counts as room.
        beyond: Connections that a worker may hold on top of all that.
    """
    best: int | None = None
    fewest = (True, 0)
    count = len(workers)
    for step in range(1, count + 1):
        index = (after + step) % count
        worker = workers[index]
        rank = worker.stalled, worker.connections
        if best is not None and rank >= fewest:
            continue
        if not worker.takes:
            continue
        limit = worker.capacity
        most = limit + (worker.reserve if into_reserve else 0) + beyond
        if limit and places_taken(worker, asks=asks) >= most:
            continue
        best, fewest = index, rank
    return best
