"""Lets callers through in the order in which they came, once what all of them wait for is there.

A caller that waits for a connection runs some turns of the event loop after it was made. A caller
that comes in these turns finds the connection there, and would be sent before the one that waits.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

Prepare = Callable[[], Coroutine[Any, Any, None]]


class FifoGate:
    """Prepares once for all who wait, and keeps their order, also among those who come later.

    Args:
        is_ready: Whether what is waited for is there.
        prepare: Makes it be there.
        name: Of the task that does it.
    """

    def __init__(self, *, is_ready: Callable[[], bool], prepare: Prepare, name: str) -> None:
        self._is_ready = is_ready
        self._prepare = prepare
        self._name = name
        self._task: asyncio.Task[None] | None = None
        self._line: deque[asyncio.Future[None]] = deque()
        self._inside = 0  # callers who wait, or were let through and have not run since

    @property
    def is_open(self) -> bool:
        """Whether a caller that comes now has nothing to wait for, and nobody to wait behind."""
        return not self._inside and self._task is None and self._is_ready()

    async def enter(self) -> None:
        """Wait until all is ready, behind all who came before.

        A caller that is cancelled takes nothing from the others. What preparing raises is raised to
        all who waited for it; who comes later has it tried again.
        """
        loop = asyncio.get_running_loop()
        turn = loop.create_future()
        self._line.append(turn)
        self._inside += 1
        if self._task is None:
            if self._is_ready():
                loop.call_soon(self._let_through)
            else:
                self._task = loop.create_task(self._prepare(), name=self._name)
                self._task.add_done_callback(self._prepared)
        try:
            await turn
        finally:
            self._inside -= 1

    async def aclose(self) -> None:
        """Stop preparing; who waits gets a ConnectionError."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def _prepared(self, task: asyncio.Task[None]) -> None:
        self._task = None
        if task.cancelled():  # whoever waits was not, and need not end for it
            self._let_through(ConnectionError(f"{self._name}: broken off"))
        else:
            self._let_through(task.exception())

    def _let_through(self, error: BaseException | None = None) -> None:
        if self._task is not None:
            return  # it was lost again, and is prepared for all who are in the line now
        while self._line:
            turn = self._line.popleft()
            if turn.done():  # its caller was cancelled
                continue
            if error is None:
                turn.set_result(None)
            else:
                turn.set_exception(error)
