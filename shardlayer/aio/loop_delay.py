"""How long an event loop stood still: a time limit may be reached for that reason alone.

A blocking call stops the loop, and so does a machine that is frozen for a while. When the loop goes
on, it finds time limits reached, although what they wait for may have come long ago.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import process_time

LOOK_INTERVAL = 0.05  # seconds
COMPUTES = 0.1  # of the time, or more: then this process was not frozen


class LoopDelay:
    """A context that adds up how late the running loop calls its timers."""

    def __enter__(self) -> LoopDelay:
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._late = 0.0  # seconds, in sum
        self._frozen = 0.0  # of these, those in which the process computed next to nothing
        self._computed = process_time()
        self._call_next()
        return self

    def __exit__(self, *exception: object) -> None:
        self._timer.cancel()

    def is_most(self, *, frozen: bool = False) -> bool:
        """Return whether the loop stood still for half of the time in this context, or more.

        What is shorter than LOOK_INTERVAL may not be seen.

        Args:
            frozen: Whether only such time counts in which the whole process stood still. Code that
                holds up the loop computes.
        """
        late = self._frozen if frozen else self._late
        return 0 < self._loop.time() - self._began <= late * 2

    def _call_next(self) -> None:
        self._timer = self._loop.call_later(LOOK_INTERVAL, self._look)

    def _look(self) -> None:
        late, computed = self._loop.time() - self._timer.when(), process_time()
        self._late += late
        if computed - self._computed < late * COMPUTES:
            self._frozen += late
        self._computed = computed
        self._call_next()


@asynccontextmanager
async def stall_tolerant_timeout(seconds: float | None) -> AsyncIterator[asyncio.Timeout]:
    """A context like `asyncio.timeout`, which gives the time once more where the loop stood still.

    What the body waits for is not asked again: its answer may wait in a socket. An answer that is
    taken in the turn in which the time is over is not too late.

    Args:
        seconds: The time; None means no limit.

    Raises:
        TimeoutError: If the time is over.
    """
    if seconds is None:
        async with asyncio.timeout(None) as limit:
            yield limit
        return
    loop = asyncio.get_running_loop()
    with LoopDelay() as delay:
        async with asyncio.timeout(None) as limit:

            def due() -> None:
                limit.reschedule(loop.time() + (seconds if delay.is_most() else 0))

            timer = loop.call_later(seconds, due)
            try:
                yield limit
            finally:
                timer.cancel()
