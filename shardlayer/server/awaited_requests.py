"""The connections that wait for a request: new ones, and those that have served one.

Such a connection costs its client nothing, so their number is limited. When there is one too many,
the one that has waited longest is closed: a new one is more likely to bring a request.
"""

from __future__ import annotations

import math
import time
from typing import Protocol

from shardlayer.server.server_counters import counters


class Waiter(Protocol):
    """A connection, as it is seen here."""

    @property
    def patience(self) -> float: ...  # seconds that it may wait
    def give_up(self) -> None: ...
    def make_way(self) -> None: ...


class AwaitedRequests:
    """All that wait.

    Args:
        most: How many may; 0: any number.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._since: dict[Waiter, float] = {}  # in ascending order
        self._leaving: set[Waiter] = set()  # that made way, and whose connection is not lost yet

    def __len__(self) -> int:
        return len(self._since) + len(self._leaving)

    def begin(self, waiter: Waiter) -> None:
        """Wait from now on."""
        self._since[waiter] = time.monotonic()
        if 0 < self._most < len(self._since):
            self.displace()

    def displace(self) -> None:
        """Have the one that has waited longest make way, if there is any."""
        if self._since:
            longest = next(iter(self._since))
            del self._since[longest]
            self._leaving.add(longest)
            counters.idle_displaced += 1
            longest.make_way()

    def end(self, waiter: Waiter) -> bool:
        """Wait no more; return whether it waited. Again is no error."""
        self._leaving.discard(waiter)
        return self._since.pop(waiter, None) is not None

    def check(self, now: float) -> None:
        """Have those give up that have waited too long, by `time.monotonic()`."""
        for waiter in [each for each, since in self._since.items() if now - since > each.patience]:
            self._since.pop(waiter, None)
            waiter.give_up()


def patience(seconds: float) -> float:
    """Return how long to wait by a limit of which 0 is none."""
    return seconds or math.inf
