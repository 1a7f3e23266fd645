"""Many time limits, hardly any of which is ever reached: one timer of the loop serves all.

`asyncio.timeout_at` makes a timer and cancels it each time, and the loop keeps what was cancelled
until it is due. Here a limit that is kept costs a place in a set.
"""

from __future__ import annotations

import asyncio
import math
from contextlib import AbstractContextManager
from types import TracebackType


class TimeLimits:
    """The time limits of one owner. Bound to the event loop in which the first one begins."""

    def __init__(self) -> None:
        self._running: set[_TimeLimit] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._due = math.inf  # when the timer goes off, in the loop's time

    def until(self, when: float) -> AbstractContextManager[None]:
        """Return a context whose body gets TimeoutError at the loop's time `when`.

        It cancels what the body's task waits for, as `asyncio.timeout_at` does.
        """
        return _TimeLimit(self, when)

    def begin(self, limit: _TimeLimit) -> None:
        """Watch over a limit."""
        self._running.add(limit)
        if limit.when < self._due:
            self._set(limit.when)

    def end(self, limit: _TimeLimit) -> None:
        """Forget a limit. The timer may go off for nothing."""
        self._running.discard(limit)

    def _set(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._due = when
        self._timer = asyncio.get_running_loop().call_at(when, self._look)

    def _look(self) -> None:
        self._timer, self._due = None, math.inf
        now = asyncio.get_running_loop().time()
        reached = [limit for limit in self._running if limit.when <= now]
        for limit in sorted(reached, key=lambda limit: limit.when):
            self._running.discard(limit)
            limit.reached()
        if self._running:
            self._set(min(limit.when for limit in self._running))


class _TimeLimit:
    """One limit, of one task.

    Attributes:
        when: When it is reached, in the loop's time.
    """

    __slots__ = ("_cancelling", "_is_reached", "_limits", "_task", "when")

    def __init__(self, limits: TimeLimits, when: float) -> None:
        self.when = when
        self._limits = limits
        self._is_reached = False

    def __enter__(self) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("A time limit is that of a task.")
        self._task = task
        self._cancelling = task.cancelling()
        self._limits.begin(self)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._limits.end(self)
        if self._is_reached:
            is_ours = self._task.uncancel() <= self._cancelling
            if is_ours and kind is asyncio.CancelledError:
                raise TimeoutError from error  # else somebody else cancelled it, too

    def reached(self) -> None:
        """Cancel what the task waits for."""
        self._is_reached = True
        self._task.cancel()
