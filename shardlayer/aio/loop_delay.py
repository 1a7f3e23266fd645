"""How long an event loop stood still: a time limit may be reached for that reason alone.

A blocking call stops the loop, and so does a machine that is frozen for a while. When the loop goes
on, it finds time limits reached, although what they wait for may have come long ago.
"""

from __future__ import annotations

import asyncio

LOOK_INTERVAL = 0.05  # seconds


class LoopDelay:
    """A context that adds up how late the running loop calls its timers."""

    def __enter__(self) -> LoopDelay:
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._late = 0.0  # seconds, in sum
        self._call_next()
        return self

    def __exit__(self, *exception: object) -> None:
        self._timer.cancel()

    def is_most(self) -> bool:
        """Return whether the loop stood still for half of the time in this context, or more.

        What is shorter than LOOK_INTERVAL may not be seen.
        """
        return 0 < self._loop.time() - self._began <= self._late * 2

    def _call_next(self) -> None:
        self._timer = self._loop.call_later(LOOK_INTERVAL, self._look)

    def _look(self) -> None:
        self._late += self._loop.time() - self._timer.when()
        self._call_next()
