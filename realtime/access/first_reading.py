"""Clients that wait until a worker has read a log: all of them for the same time, not one by one.

A log whose shard is away is read when that is back. If each question waited for that, every sign-in
would take as long, and keep joins of others from their turns.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial

from shardlayer import Tasks, stall_tolerant_timeout


class FirstReading:
    """Whether a log was read, and who waits for it. The owner must call `give_up()` in the end.

    Args:
        tasks: Of the owner.
        name: Of the task that waits.
    """

    def __init__(self, tasks: Tasks, name: str) -> None:
        self._tasks = tasks
        self._name = name
        self._done = asyncio.Event()
        self._over = asyncio.Event()  # nobody waits any more: it is done, or took too long
        self._waits = False

    @property
    def is_done(self) -> bool:
        """Whether the log was read."""
        return self._done.is_set()

    async def wait(self, patience: float) -> bool:
        """Wait until the log was read; return whether it was.

        The first who waits says for how many seconds all wait. After that nobody waits, until the
        log is read again after a loss.
        """
        if not self._over.is_set():
            if not self._waits:
                self._waits = True
                self._tasks.supervise(partial(self._wait_for_all, patience), self._name)
            await self._over.wait()
        return self.is_done

    async def wait_done(self) -> None:
        """Wait until the log was read, however long that takes."""
        await self._done.wait()

    def finish(self) -> None:
        """Note that the log was read."""
        self._done.set()
        self._over.set()

    def begin_again(self) -> None:
        """Note that the log is to be read again."""
        self._done.clear()
        self._over.clear()
        self._waits = False

    def give_up(self) -> None:
        """Let nobody wait any more."""
        self._over.set()

    async def _wait_for_all(self, patience: float) -> None:
        try:
            with suppress(TimeoutError):
                async with stall_tolerant_timeout(patience):
                    await self._done.wait()
        finally:
            self._over.set()
