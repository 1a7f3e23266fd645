"""How long deliveries hold up an event loop.

A loop that delivers must go on to read, or what is published for it piles up in Redis, which ends
connections that are not read. So the deliveries of a loop share a short time of each of its turns.
"""

from __future__ import annotations

from time import perf_counter

TURN = 0.005  # seconds


class Turns:
    """The turns of one event loop, shared by the deliveries that are under way.

    A delivery calls `begin`; once the time that it got is over it lets the loop go on, and calls
    `next`; at last it calls `end`. Each may do one thing per turn, however many there are.

    Args:
        seconds: What they may take of one turn, together.
    """

    def __init__(self, seconds: float = TURN) -> None:
        self._seconds = seconds
        self._sharers = 0

    def begin(self) -> float:
        """Count a delivery that begins; return when its turn ends, as `perf_counter` tells."""
        self._sharers += 1
        return perf_counter() + self._seconds / self._sharers

    def next(self) -> float:
        """Return when its next turn ends."""
        return perf_counter() + self._seconds / self._sharers

    def end(self) -> None:
        """Leave the others more."""
        self._sharers -= 1
