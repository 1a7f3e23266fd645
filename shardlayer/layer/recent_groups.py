"""Which groups this process has sent messages to of late: they may still be on their way."""

from __future__ import annotations

import time
from collections.abc import Callable

PERIOD = 1.0  # seconds; a group counts for one to two of these
MOST = 10_000  # groups of a period; with more it ends


class RecentGroups:
    """Remembers names for a moment. From any thread: each step is one of a dictionary.

    Args:
        clock: Seconds, monotonic.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._now: dict[str, None] = {}
        self._before: dict[str, None] = {}
        self._ends = 0.0

    def __len__(self) -> int:
        """Return how many names it holds."""
        return len(self._now) + len(self._before)

    def note(self, group: str) -> None:
        """Remember a group."""
        self._turn()
        self._now[group] = None

    def __contains__(self, group: str) -> bool:
        """Tell whether a group was noted of late."""
        self._turn()
        return group in self._now or group in self._before

    def _turn(self) -> None:
        now = self._clock()
        if now >= self._ends or len(self._now) >= MOST:
            self._before = self._now if now < self._ends + PERIOD else {}
            self._now = {}
            self._ends = now + PERIOD
