"""How late an event loop is, looked at some times a second from within.

The loop is asked by a timer, which shares the wake-ups of other timers, and by no thread: that
would wake the process twice for each look.
"""

from __future__ import annotations

import asyncio

from shardlayer import Histogram, next_tick

PAUSE = 0.2  # seconds between two looks
LONGEST = 60.0  # seconds; of a process that was suspended for longer, no more looks are made up for


class LoopLooks:
    """The looks at one event loop, which must be the running one in `start` and `stop`.

    Args:
        loop: The event loop.
        delays: What is filled: seconds that the loop was late, once for each look.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, delays: Histogram) -> None:
        self._loop = loop
        self._delays = delays
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin."""
        self._look_next(self._loop.time())

    def stop(self) -> None:
        """End."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        now = self._loop.time()
        due = max(self._due, now - LONGEST)
        self._look_next(now)
        # All looks that were due until now: a loop that stood still for a second was not late once,
        # but whenever it was asked.
        while due < self._due - PAUSE / 2:
            self._delays.observe(max(now - due, 0.0))
            due += PAUSE

    def _look_next(self, now: float) -> None:
        self._due = next_tick(now, PAUSE)
        self._timer = self._loop.call_at(self._due, self._look)
