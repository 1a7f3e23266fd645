"""What is to be done before an event loop is closed, by whoever closes it.

`asyncio.run` first cancels a loop's tasks, so they learn of the end. `loop.close()` tells nobody,
and asyncio has no other way to find out. Connections would stay open and tasks unfinished, and
Python would complain of both when it finds them. So the loop's `close` is wrapped, once, for as
long as something is to be done. It lets the loop run until that is done, and then closes it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress

logger = logging.getLogger(__name__)

END_TIMEOUT = 10.0  # seconds that another thread gets to do it

End = Callable[[], Awaitable[object]]


def before_close(loop: asyncio.AbstractEventLoop, end: End) -> Callable[[], None]:
    """Have `end()` run on a loop when it is about to be closed; return what undoes this.

    What it raises is logged. It is not run in a forked child, whose loop is its parent's. Where
    another loop runs in the thread that closes this one, it is run in a thread of its own. If the
    system starts none, that is logged, and the loop is closed without it.
    """
    closing = getattr(loop.close, "closing", None)
    if closing is None:
        try:
            closing = _Closing(loop)
        except AttributeError:  # a loop that takes no attributes: its tasks have to be cancelled
            return lambda: None
    closing.ends.append(end)

    def undo() -> None:
        with suppress(ValueError):
            closing.ends.remove(end)

    return undo


async def end_all() -> None:
    """Do now what is to be done before the running loop is closed, and not again then.

    For a program that ends without closing its loop. What is raised is logged.
    """
    closing = getattr(asyncio.get_running_loop().close, "closing", None)
    if closing is not None:
        await asyncio.gather(*(_logged(end) for end in closing.take()))


class _Closing:
    """The close of one loop.

    Attributes:
        ends: What is to be done before.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.ends: list[End] = []
        self._pid = os.getpid()
        original = loop.close

        def close() -> None:
            if not loop.is_running() and not loop.is_closed():
                self._end_all(loop)
                if getattr(loop.close, "closing", None) is self:
                    del loop.close  # the two hold each other
            original()

        close.closing = self  # type: ignore[attr-defined]
        loop.close = close  # type: ignore[method-assign]

    def take(self) -> list[End]:
        """Return what is to be done. The caller does it, and nobody else."""
        ends, self.ends = self.ends, []
        return ends if os.getpid() == self._pid else []

    def _end_all(self, loop: asyncio.AbstractEventLoop) -> None:
        while self.ends:
            end = self.ends.pop()
            if os.getpid() == self._pid:
                _run(loop, end)


def _run(loop: asyncio.AbstractEventLoop, end: End) -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        loop.run_until_complete(_logged(end))
        return
    # No thread runs two loops at once.
    thread = threading.Thread(target=lambda: loop.run_until_complete(_logged(end)), daemon=True)
    try:
        thread.start()
    except (RuntimeError, MemoryError):  # the loop is closed all the same, as its owner wants
        logger.exception("No thread could be started to end what an event loop has begun:")
        return
    thread.join(END_TIMEOUT)


async def _logged(end: End) -> None:
    try:
        await end()
    except Exception:
        logger.exception("An error before an event loop was closed:")
