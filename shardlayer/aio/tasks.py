"""Tasks that end with whoever started them, and that do not end before.

When a task dies, its work stops, and nobody notices. So work that should run as long as its owner
lives is *supervised*. What it raises is logged, and it is begun again after a pause that doubles
with each failure. Until it is known to work again it is listed in `failing`.

The owners of one event loop form a tree (`branch`), so that one place knows of all of them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, TypeVar
from weakref import ReferenceType, ref

from shardlayer.aio.backoff import Backoff
from shardlayer.aio.throttled_log import ThrottledLog

logger = logging.getLogger(__name__)

RESTART_FIRST = 0.1  # seconds before a task that failed begins again, doubled with each failure
RESTART_MAX = 10.0  # seconds
STEADY = 10.0  # seconds after which a task that was begun again counts as well

# A CancelledError, too, may come from below: of a future that somebody else cancelled.
_ERRORS = (Exception, asyncio.CancelledError)

Result = TypeVar("Result")
Work = Callable[[], Awaitable[object]]


def is_cancelled() -> bool:
    """Tell whether somebody cancelled the running task and it has not yet ended for that.

    Else a CancelledError that reaches it says only that what it waited for was cancelled.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def take_note(ended: asyncio.Future[Any]) -> None:
    """Take note of the error with which a task or future has ended, if it has one.

    As a callback of it: who waits for it gets the error all the same. Else asyncio complains of an
    error that nobody has asked for, as when a `shield` was cancelled.
    """
    if not ended.cancelled():
        ended.exception()


class Tasks:
    """Tasks of one owner, held while they run: asyncio itself holds them weakly.

    Belongs to one event loop; `failing` may be read from any thread.
    """

    def __init__(self) -> None:
        self._running: set[asyncio.Task[object]] = set()
        self._watches: set[_Watch] = set()
        self._branches: list[Tasks] = []
        self._parent: ReferenceType[Tasks] | None = None

    def branch(self) -> Tasks:
        """Return the tasks of a part of this owner: its `failing` is in this one's, too.

        The part closes them itself, and is forgotten then.
        """
        branch = Tasks()
        branch._parent = ref(self)
        self._branches.append(branch)
        return branch

    @property
    def failing(self) -> list[str]:
        """The names of supervised tasks that failed and are not yet known to work again."""
        # Copied first, which takes one step: tasks may begin and end in another thread.
        names = [watch.name for watch in list(self._watches) if watch.is_failing]
        for branch in list(self._branches):
            names += branch.failing
        return names

    def start(
        self, coroutine: Coroutine[object, object, Result], name: str
    ) -> asyncio.Task[Result]:
        """Run a coroutine in a task, which is held until it ends. Who starts it sees to errors."""
        task = asyncio.create_task(coroutine, name=name)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    def share(
        self, coroutine: Coroutine[object, object, Result], name: str
    ) -> asyncio.Task[Result]:
        """Run a coroutine in a task that several may wait for, each with `asyncio.shield`.

        What it raises goes to those who still wait then, and if there are none, to nobody.
        """
        task = self.start(coroutine, name)
        task.add_done_callback(take_note)
        return task

    def spawn(self, coroutine: Coroutine[object, object, None], name: str) -> asyncio.Task[None]:
        """Run a coroutine in a task for whose end nobody waits: what it raises is logged."""
        task = self.start(coroutine, name)
        task.add_done_callback(_log_error)
        return task

    def supervise(self, work: Work, name: str) -> asyncio.Task[None]:
        """Run `work()` until it returns: whenever it raises, log that and run it again.

        It begins again after 0.1 s, then twice that and so on up to 10 s, less up to a half.
        It is `failing` from then on until it has run for 10 s.
        """
        return self._watch(name, partial(_keep_running, work))

    def repeat(
        self, work: Work, name: str, *, pause: Callable[[], float], first: float | None = None
    ) -> asyncio.Task[None]:
        """Run `work()` again and again, `pause()` seconds after it has ended.

        What it raises is logged, and it is `failing` until it ends without an error. The first
        time is in `first` seconds; None means after `pause()` seconds.
        """
        return self._watch(name, partial(_repeat, work, pause, first))

    async def aclose(self) -> None:
        """Cancel what runs, and return once all of it has ended."""
        tasks = list(self._running)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        parent = None if self._parent is None else self._parent()
        if parent is not None and self in parent._branches:
            parent._branches.remove(self)

    def _watch(
        self, name: str, run: Callable[[_Watch], Coroutine[object, object, None]]
    ) -> asyncio.Task[None]:
        watch = _Watch(name)
        self._watches.add(watch)
        task = self.start(run(watch), name)
        task.add_done_callback(lambda _: self._watches.discard(watch))
        return task


class _Watch:
    """What is known of one supervised task."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._failures = 0
        self._backoff = Backoff(RESTART_FIRST, RESTART_MAX)
        self._begun = 0.0  # of the run after the last failure; 0 while there is none
        self._complain = ThrottledLog(logger, logging.ERROR)

    @property
    def is_failing(self) -> bool:
        return self._failures > 0 and not self._is_steady()

    def begun(self) -> None:
        self._begun = time.monotonic()

    def succeeded(self) -> None:
        if self._failures:
            logger.info("%s: works again.", self.name)
        self._failures = 0
        self._backoff.reset()

    def failed(self, error: BaseException) -> float:
        """Take note of a failure; return for how many seconds to wait."""
        if self._is_steady():
            self._failures = 0
            self._backoff.reset()
        self._failures += 1
        self._begun = 0.0
        self._complain(
            "%s: failed, and is tried again (time %d in a row).",
            self.name,
            self._failures,
            exc_info=error,
        )
        return self._backoff.failed()

    def _is_steady(self) -> bool:
        return self._begun > 0 and time.monotonic() - self._begun >= STEADY


def _log_error(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("%s: failed.", task.get_name(), exc_info=error)


async def _keep_running(work: Work, watch: _Watch) -> None:
    while True:
        watch.begun()
        try:
            await work()
        except _ERRORS as error:
            if is_cancelled():
                raise
            pause = watch.failed(error)
        else:
            return
        await asyncio.sleep(pause)


async def _repeat(
    work: Work, pause: Callable[[], float], first: float | None, watch: _Watch
) -> None:
    await asyncio.sleep(pause() if first is None else first)
    while True:
        try:
            await work()
        except _ERRORS as error:
            if is_cancelled():
                raise
            watch.failed(error)
        else:
            watch.succeeded()
        await asyncio.sleep(pause())
