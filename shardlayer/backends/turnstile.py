"""Lets callers through in the order in which they came, once what all of them wait for is there.

Who waits for a connection runs some turns of the event loop after it was made. Whoever comes in
these turns finds it there, and would be sent before them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable


class Turnstile:
    """Prepares once for all who wait, and keeps their order, also among those who come later.

    Args:
        prepare: Does what is waited for. Called again for who comes when it has ended, so it does
            nothing where nothing is to be done.
        name: Of the task that does it.
    """

    def __init__(self, prepare: Callable[[], Awaitable[None]], *, name: str) -> None:
        self._prepare = prepare
        self._name = name
        self._task: asyncio.Task[None] | None = None
        self._line: deque[asyncio.Future[None]] = deque()
        self._inside = 0

    @property
    def is_busy(self) -> bool:
        """Whether somebody waits here, or was let through and has not run since."""
        return self._inside > 0

    async def enter(self) -> None:
        """Wait until all is prepared, behind all who came before.

        A caller that is cancelled takes nothing from the others. What `prepare` raises is raised to
        all who waited for it.
        """
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=self._name)
            self._task.add_done_callback(self._ended)
        turn = asyncio.get_running_loop().create_future()
        self._line.append(turn)
        self._inside += 1
        try:
            await turn
        finally:
            self._inside -= 1

    async def aclose(self) -> None:
        """Stop preparing; who waits is cancelled."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        await self._prepare()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._task = None
        error = None if task.cancelled() else task.exception()
        while self._line:
            turn = self._line.popleft()
            if turn.done():  # its caller was cancelled
                continue
            if task.cancelled():
                turn.cancel()
            elif error is None:
                turn.set_result(None)
            else:
                turn.set_exception(error)
