"""One task for each thing to be done, and never two for the same."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from functools import partial
from typing import Generic, TypeVar

from shardlayer.aio.tasks import Tasks, Work

Key = TypeVar("Key", bound=Hashable)


class KeyedTasks(Generic[Key]):
    """Supervised tasks of one owner, at most one at a time for each key.

    Args:
        tasks: Of the owner; holds them, and ends them.
    """

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self._running: dict[Key, asyncio.Task[None]] = {}

    def supervise(self, key: Key, work: Work, name: str) -> None:
        """Run `work()` as `Tasks.supervise` does, unless a task for the key has not ended yet."""
        running = self._running.get(key)
        if running is None or running.done():
            task = self._running[key] = self._tasks.supervise(work, name)
            task.add_done_callback(partial(self._ended, key))

    async def wait(self) -> None:
        """Return once those tasks have ended that run now."""
        if self._running:
            await asyncio.wait(list(self._running.values()))

    def _ended(self, key: Key, task: asyncio.Task[None]) -> None:
        if self._running.get(key) is task:  # else the next one for the key runs already
            del self._running[key]
