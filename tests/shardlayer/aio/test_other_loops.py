"""Work that is done on another thread's loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from shardlayer.aio.other_loops import run_there, wait_there
from shardlayer.core.exceptions import LoopEnded
from tests.waiting import PATIENCE, until, wait_until


@pytest.fixture
def loop_there() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop that runs in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    wait_until(loop.is_running)
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


async def test_work_runs_there_and_its_result_comes_here(
    loop_there: asyncio.AbstractEventLoop,
) -> None:
    """The work sees the other loop as its own."""

    async def work() -> asyncio.AbstractEventLoop:
        await asyncio.sleep(0)
        return asyncio.get_running_loop()

    assert await run_there(loop_there, work) is loop_there


async def test_error_is_raised_here(loop_there: asyncio.AbstractEventLoop) -> None:
    """It is the same exception."""
    error = ValueError("no")

    async def work() -> None:
        raise error

    with pytest.raises(ValueError, match="no") as raised:
        await run_there(loop_there, work)
    assert raised.value is error


async def test_caller_that_is_cancelled_cancels_the_work(
    loop_there: asyncio.AbstractEventLoop,
) -> None:
    """Nothing goes on that nobody waits for."""
    begun, ended = threading.Event(), threading.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.set()

    caller = asyncio.create_task(run_there(loop_there, work))
    assert await asyncio.to_thread(begun.wait, PATIENCE)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert await asyncio.to_thread(ended.wait, PATIENCE)


async def test_caller_that_is_cancelled_at_once_leaves_no_work(
    loop_there: asyncio.AbstractEventLoop,
) -> None:
    """The order to start reached the other loop, and so does the one to cancel."""

    async def work() -> None:
        await asyncio.get_running_loop().create_future()

    caller = asyncio.create_task(run_there(loop_there, work))
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller

    async def others() -> int:
        await asyncio.sleep(0)  # a task that was told to end ends
        return len(asyncio.all_tasks()) - 1

    assert await run_there(loop_there, others) == 0


async def test_work_that_is_cancelled_there_does_not_cancel_its_caller(
    loop_there: asyncio.AbstractEventLoop,
) -> None:
    """As when the other loop winds up: an error, since nobody cancelled who waits."""

    async def work() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)

    with pytest.raises(LoopEnded):
        await run_there(loop_there, work)
    with pytest.raises(LoopEnded):
        await asyncio.to_thread(wait_there, loop_there, work)


async def test_closed_loop_is_an_error() -> None:
    """The caller does not wait for a loop that will never run."""
    loop = asyncio.new_event_loop()
    loop.close()

    async def work() -> None:
        """Never run."""

    with pytest.raises(RuntimeError, match="closed"):
        await run_there(loop, work)


def test_caller_whose_loop_is_gone_disturbs_nobody(loop_there: asyncio.AbstractEventLoop) -> None:
    """The work ends after the loop that asked for it was closed."""
    release = threading.Event()

    async def work() -> None:
        await asyncio.to_thread(release.wait, PATIENCE)

    async def ask() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await run_there(loop_there, work)

    asyncio.run(ask())
    release.set()


async def test_result_that_a_cancelled_caller_did_not_take_is_handed_over(
    loop_there: asyncio.AbstractEventLoop,
) -> None:
    """Whenever the caller is cancelled: what the work made is its result or `unclaimed`'s."""
    made, taken = 0, 0
    unclaimed: list[int] = []

    async def work() -> int:
        nonlocal made
        made += 1
        return made

    for turns in range(60):
        caller = asyncio.create_task(
            run_there(loop_there, work, unclaimed=unclaimed.append), name="caller"
        )
        for _ in range(turns % 20):
            await asyncio.sleep(0)
        caller.cancel()
        try:
            await caller
            taken += 1
        except asyncio.CancelledError:
            pass

    async def others() -> int:
        return len(asyncio.all_tasks()) - 1

    async def ended() -> bool:
        return await run_there(loop_there, others) == 0

    await until(ended)
    await until(lambda: taken + len(unclaimed) == made)
    assert made == len(set(unclaimed)) + taken


def test_thread_waits_for_what_a_loop_does(loop_there: asyncio.AbstractEventLoop) -> None:
    """The result comes back, or the error is raised, with its own type."""

    async def work() -> asyncio.AbstractEventLoop:
        await asyncio.sleep(0)
        return asyncio.get_running_loop()

    async def fail() -> None:
        raise LookupError("there")

    assert wait_there(loop_there, work) is loop_there
    with pytest.raises(LookupError, match="there"):
        wait_there(loop_there, fail)


def test_thread_does_not_wait_for_a_loop_that_was_closed() -> None:
    """A loop that stops before it began the work leaves it undone: an error and not a hang."""
    loop = asyncio.new_event_loop()

    def stop_too_early() -> None:
        loop.run_until_complete(asyncio.sleep(0))
        stopped.set()
        asked.wait()
        loop.close()

    asked, stopped = threading.Event(), threading.Event()
    thread = threading.Thread(target=stop_too_early)
    thread.start()
    assert stopped.wait(PATIENCE)
    threading.Timer(0.1, asked.set).start()

    async def work() -> None:
        raise AssertionError

    with pytest.raises(RuntimeError, match="closed"):
        wait_there(loop, work)
    thread.join()


async def test_nobody_waits_for_a_loop_that_stands_still(
    loop_there: asyncio.AbstractEventLoop,
) -> None:
    """It was stopped and not closed; what it did not begin it does not do later either."""
    begun: list[int] = []

    async def begin() -> None:
        begun.append(1)

    async def wait() -> None:
        await asyncio.get_running_loop().create_future()

    waiting = asyncio.create_task(run_there(loop_there, wait))
    stopped = threading.Event()
    await asyncio.sleep(0)
    loop_there.call_soon_threadsafe(loop_there.stop)
    await until(lambda: not loop_there.is_running())
    with pytest.raises(LoopEnded):
        await run_there(loop_there, begin)
    with pytest.raises(LoopEnded):
        await asyncio.to_thread(wait_there, loop_there, begin)
    with pytest.raises(LoopEnded):
        await waiting
    loop_there.call_soon(stopped.set)
    await asyncio.to_thread(loop_there.run_until_complete, asyncio.sleep(0))
    assert stopped.is_set()
    assert begun == []
