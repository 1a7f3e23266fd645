"""Tasks that end with whoever started them."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

Result = TypeVar("Result")


class Tasks:
    """Tasks of one owner, held while they run: asyncio itself holds them weakly."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[object]] = set()

    def start(
        self, coroutine: Coroutine[object, object, Result], name: str
    ) -> asyncio.Task[Result]:
        """Run a coroutine in a task, which is held until it ends."""
        task = asyncio.create_task(coroutine, name=name)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def aclose(self) -> None:
        """Cancel what runs, and return once all of it has ended."""
        tasks = list(self._running)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
