"""Work on the event loop of another thread, waited for on one's own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from shardlayer.aio import native_threads
from shardlayer.core.exceptions import LoopEnded

LOOK = 1.0  # seconds, after which who waits looks whether the other loop still runs

Result = TypeVar("Result")


def wait_there(
    loop: asyncio.AbstractEventLoop, work: Callable[[], Coroutine[Any, Any, Result]]
) -> Result:
    """Do work on another thread's running loop while this thread, which has none, waits.

    A caller that is interrupted, by control-C say, cancels the work.

    Raises:
        LoopEnded: If the other loop is closed, or ends or stops and leaves the work undone.
    """
    done = native_threads.new_signal()
    task: asyncio.Task[Result] | None = None
    given_up = False
    is_main = _is_main_thread()

    def start() -> None:
        nonlocal task
        if not given_up:
            task = loop.create_task(work())
            task.add_done_callback(tell)

    def tell(work: asyncio.Task[Result]) -> None:
        if not (work.cancelled() and _is_broken_off(is_main)):
            done.set()

    def cancel() -> None:
        if task is not None:
            task.cancel()

    try:
        _ask(loop, start)
        while not done.wait(LOOK):
            if not loop.is_running() and not _is_broken_off(is_main):
                raise LoopEnded
    except BaseException:
        given_up = True
        with suppress(RuntimeError):  # the other loop is closed
            loop.call_soon_threadsafe(cancel)
        raise
    finally:
        done.close()
    assert task is not None
    if task.cancelled():  # not by this caller
        raise LoopEnded
    return task.result()


async def run_there(
    loop: asyncio.AbstractEventLoop,
    work: Callable[[], Awaitable[Result]],
    *,
    unclaimed: Callable[[Result], object] | None = None,
) -> Result:
    """Do work on another thread's running loop and return its result here, or raise its error.

    A caller that is cancelled cancels the work. If it was done already, its result is handed to
    `unclaimed`, on the other loop. It is `asyncio.wrap_future` around
    `run_coroutine_threadsafe` without the future between the two, its locks and its callbacks: a
    loop that `async_to_sync` made for this one call gets its answer in half the time.

    Raises:
        LoopEnded: If the other loop is closed, or ends or stops and leaves the work undone.
    """
    here = asyncio.get_running_loop()
    is_main = _is_main_thread()
    answer: asyncio.Future[Result] = here.create_future()
    task: asyncio.Task[Result] | None = None
    given_up = False

    async def call() -> Result:
        return await work()

    def start() -> None:
        nonlocal task
        if not given_up:
            task = loop.create_task(call())
            task.add_done_callback(tell)

    def cancel() -> None:
        if task is not None:
            task.cancel()

    def tell(done: asyncio.Task[Result]) -> None:
        if done.cancelled() and _is_broken_off(is_main):
            return
        try:
            here.call_soon_threadsafe(settle, done)
        except RuntimeError:  # the caller's loop is closed
            if unclaimed is not None and not done.cancelled() and done.exception() is None:
                unclaimed(done.result())

    def settle(done: asyncio.Task[Result]) -> None:
        if done.cancelled():
            if not answer.done():
                answer.set_exception(LoopEnded())
            return
        error = done.exception()  # asked for even if nobody waits any more
        if error is None:
            if answer.done():
                leave_to_others(done.result())
            else:
                answer.set_result(done.result())
        elif not answer.done():
            answer.set_exception(error)

    def leave_to_others(result: Result) -> None:
        if unclaimed is not None:
            with suppress(RuntimeError):  # the other loop is closed
                loop.call_soon_threadsafe(unclaimed, result)

    _ask(loop, start)
    watch = _LoopWatch.of(here)
    watch.waiting[answer] = loop
    try:
        return await answer
    except LoopEnded:
        given_up = True
        with suppress(RuntimeError):  # the other loop is closed
            loop.call_soon_threadsafe(cancel)
        raise
    except asyncio.CancelledError:
        given_up = True
        if answer.done() and not answer.cancelled() and answer.exception() is None:
            leave_to_others(answer.result())  # it came in the moment of cancellation
        with suppress(RuntimeError):  # the other loop is closed
            loop.call_soon_threadsafe(cancel)
        raise
    finally:
        del watch.waiting[answer]


class _LoopWatch:
    """Looks for all callers of one loop, now and then, whether the loops they wait for still run.

    One timer for all: what a timer for each would cost is a tenth of the call that it is for. The
    timer ends when it finds nobody waiting.

    Attributes:
        waiting: The answers that are waited for, each with the loop that owes it. They fail with
            LoopEnded once that does not run.
    """

    _all: WeakValueDictionary[int, _LoopWatch] = WeakValueDictionary()
    """By the id of the loop, which lives as long as its watch."""

    def __init__(self, here: asyncio.AbstractEventLoop) -> None:
        self._here = here
        self.waiting: dict[asyncio.Future[Any], asyncio.AbstractEventLoop] = {}
        self._waited: list[asyncio.Future[Any]] = []  # at the last look
        self._is_due = False

    @classmethod
    def of(cls, here: asyncio.AbstractEventLoop) -> _LoopWatch:
        """Return the watch of the running loop, whose timer runs: it looks at who waits now."""
        watch = cls._all.get(id(here))
        if watch is None:
            watch = cls._all[id(here)] = cls(here)
        if not watch._is_due:
            watch._look_later()
        return watch

    def _look_later(self) -> None:
        self._is_due = True
        self._here.call_later(LOOK / 2, self._look)

    def _look(self) -> None:
        self._is_due = False
        is_broken_off = _is_broken_off(_is_main_thread())
        # Those alone that waited at the look before: a loop may stand still for a moment.
        for answer in self._waited:
            loop = self.waiting.get(answer)
            if loop is None or loop.is_running() or answer.done() or is_broken_off:
                continue
            answer.set_exception(LoopEnded())
        self._waited = list(self.waiting)
        if self._waited:
            self._look_later()


def _is_main_thread() -> bool:
    return threading.get_native_id() == threading.main_thread().native_id


def _is_broken_off(is_main: bool) -> bool:
    """Tell whether the interpreter's exit breaks a caller off.

    It learns of no error: there is nobody whom it could tell. The main thread is not broken off: it
    runs what `atexit` knows.
    """
    return not is_main and not threading.main_thread().is_alive()


def _ask(loop: asyncio.AbstractEventLoop, start: Callable[[], None]) -> None:
    try:
        loop.call_soon_threadsafe(start)
    except RuntimeError as error:
        if loop.is_closed():
            raise LoopEnded from error
        raise
