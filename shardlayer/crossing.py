"""Work on the event loop of another thread, waited for on one's own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

CLOSED_AFTER = 1.0  # seconds until it is asked whether the other loop was closed meanwhile

Result = TypeVar("Result")


def wait_there(
    loop: asyncio.AbstractEventLoop, work: Callable[[], Coroutine[Any, Any, Result]]
) -> Result:
    """Do work on another thread's running loop while this thread, which has none, waits.

    A caller that is interrupted, by control-C say, cancels the work.

    Raises:
        RuntimeError: If the other loop is closed, or closes and leaves the work undone.
        CancelledError: If the work was cancelled, since its loop winds up.
    """
    done = threading.Lock()  # an event, but for what one allocates
    done.acquire()
    task: asyncio.Task[Result] | None = None

    def start() -> None:
        nonlocal task
        task = loop.create_task(work())
        task.add_done_callback(lambda _: done.release())

    def cancel() -> None:
        if task is not None:
            task.cancel()

    loop.call_soon_threadsafe(start)
    try:
        while not done.acquire(timeout=CLOSED_AFTER):
            if loop.is_closed():
                raise RuntimeError("The event loop was closed before it had done the work.")
    except BaseException:
        with suppress(RuntimeError):  # the other loop is closed
            loop.call_soon_threadsafe(cancel)
        raise
    assert task is not None
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
        RuntimeError: If the other loop is closed.
    """
    here = asyncio.get_running_loop()
    answer: asyncio.Future[Result] = here.create_future()
    task: asyncio.Task[Result] | None = None

    async def call() -> Result:
        return await work()

    def start() -> None:
        nonlocal task
        task = loop.create_task(call())
        task.add_done_callback(tell)

    def cancel() -> None:
        if task is not None:
            task.cancel()

    def tell(done: asyncio.Task[Result]) -> None:
        try:
            here.call_soon_threadsafe(settle, done)
        except RuntimeError:  # the caller's loop is closed
            if unclaimed is not None and not done.cancelled() and done.exception() is None:
                unclaimed(done.result())

    def settle(done: asyncio.Task[Result]) -> None:
        if done.cancelled():
            answer.cancel()
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

    loop.call_soon_threadsafe(start)
    try:
        return await answer
    except asyncio.CancelledError:
        if answer.done() and not answer.cancelled() and answer.exception() is None:
            leave_to_others(answer.result())  # it came in the moment of cancellation
        with suppress(RuntimeError):  # the other loop is closed
            loop.call_soon_threadsafe(cancel)
        raise


def was_cancelled() -> bool:
    """Tell whether the running task itself was cancelled, and not only what it waited for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
