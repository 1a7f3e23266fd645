"""The connections that wait for a request: new ones, and those that have served one.

Such a connection costs its client nothing, so their number is limited. When there is one too many,
the one that has waited longest is closed: a new one is more likely to bring a request.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from shardlayer.server.server_counters import counters

logger = logging.getLogger(__name__)

CHECKS_TO_LEAVE = 2  # checks, two seconds apart, that one which makes way may outlast
MAX_LEAVING = 64  # that may take so long; of more, the first has LEAVE_TIME
MOST_LEAVING = 128  # that may have an open file at all; of more, the first is ended at once
LEAVE_TIME = 1.0  # seconds


class Waiter(Protocol):
    """A connection, as it is seen here."""

    @property
    def patience(self) -> float: ...  # seconds that it may wait
    def give_up(self) -> None: ...
    def make_way(self) -> None: ...
    def abort(self) -> None: ...


@dataclass(slots=True)
class _Leave:
    """When a connection made way, and how often it was looked at since.

    That counts rather than time: a process that stood still has sent nothing meanwhile.
    """

    since: float  # by time.monotonic()
    checks: int = 0


class AwaitedRequests:
    """All that wait.

    Args:
        most: How many may; 0: any number.
        room: Connections for which there are open files; 0 is no limit. Where these are few, fewer
            of those that make way may take their time.
    """

    def __init__(self, most: int, room: int = 0) -> None:
        self._most = most
        self._may_leave = min(MAX_LEAVING, room // 4) if room else MAX_LEAVING
        self._most_leaving = min(MOST_LEAVING, room) if room else MOST_LEAVING
        self._since: dict[Waiter, float] = {}  # in ascending order
        self._leaving: dict[Waiter, _Leave] = {}  # whose connections are not lost yet

    def __len__(self) -> int:
        return len(self._since) + len(self._leaving)

    def begin(self, waiter: Waiter) -> None:
        """Wait from now on."""
        self._since[waiter] = time.monotonic()
        if 0 < self._most < len(self._since):
            self.displace()

    def displace(self) -> None:
        """Have the one that has waited longest make way, if there is any."""
        now = time.monotonic()
        if self._since:
            longest = next(iter(self._since))
            del self._since[longest]
            self._leaving[longest] = _Leave(now)
            counters.idle_displaced += 1
            longest.make_way()
        if len(self._leaving) > self._may_leave:
            first, leave = next(iter(self._leaving.items()))
            if now - leave.since > LEAVE_TIME or len(self._leaving) > self._most_leaving:
                del self._leaving[first]
                self._leaving[first] = _Leave(now)  # the next time it is another's turn
                first.abort()

    def end(self, waiter: Waiter) -> bool:
        """Wait no more; return whether it waited. Again is no error."""
        self._leaving.pop(waiter, None)
        return self._since.pop(waiter, None) is not None

    def check(self, now: float) -> None:
        """Have those give up that have waited too long, by `time.monotonic()`."""
        for waiter in [each for each, since in self._since.items() if now - since > each.patience]:
            self._since.pop(waiter, None)
            _attempt(waiter.give_up)
        for waiter, leave in list(self._leaving.items()):
            leave.checks += 1
            if leave.checks > CHECKS_TO_LEAVE:
                _attempt(waiter.abort)


def _attempt(end: Callable[[], None]) -> None:
    """End one connection; what it raises keeps no other from its end."""
    try:
        end()
    except Exception:
        logger.exception("A connection that waits for a request could not be ended")


def patience(seconds: float) -> float:
    """Return how long to wait by a limit of which 0 is none."""
    return seconds or math.inf
