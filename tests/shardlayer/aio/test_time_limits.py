"""Time limits that share a timer."""

from __future__ import annotations

import asyncio

import pytest

from shardlayer.aio.time_limits import TimeLimits


async def wait(limits: TimeLimits, seconds: float) -> None:
    with limits.until(asyncio.get_running_loop().time() + seconds):
        await asyncio.Event().wait()


async def test_each_is_told_in_its_time() -> None:
    """Whichever began first; and no task is left cancelled."""
    limits, order = TimeLimits(), []
    begun = asyncio.get_running_loop().time()

    async def told(seconds: float) -> None:
        with pytest.raises(TimeoutError), limits.until(begun + seconds):
            await asyncio.Event().wait()
        task = asyncio.current_task()
        assert task is not None
        assert not task.cancelling()
        order.append(seconds)

    await asyncio.gather(*(told(seconds) for seconds in (0.2, 0.1, 0.3, -1.0)))
    assert order == [-1.0, 0.1, 0.2, 0.3]


async def test_what_ends_in_time_is_let_alone() -> None:
    """Also by the timer that was set for it."""
    limits = TimeLimits()
    with limits.until(asyncio.get_running_loop().time() + 0.05):
        pass
    await asyncio.sleep(0.1)
    with pytest.raises(TimeoutError):
        await wait(limits, 0.05)


async def test_error_of_the_body_is_kept() -> None:
    """A limit adds nothing to what ends by itself."""
    limits, loop = TimeLimits(), asyncio.get_running_loop()
    with pytest.raises(LookupError), limits.until(loop.time() + 1.0):
        raise LookupError


async def test_cancelled_task_is_cancelled() -> None:
    """By somebody else, before the time or at it."""
    limits = TimeLimits()
    early = asyncio.create_task(wait(limits, 1.0))
    late = asyncio.create_task(wait(limits, 0.05))
    await asyncio.sleep(0)
    early.cancel()
    asyncio.get_running_loop().call_later(0.05, late.cancel)
    outcomes = await asyncio.gather(early, late, return_exceptions=True)
    assert isinstance(outcomes[0], asyncio.CancelledError)
    assert isinstance(outcomes[1], asyncio.CancelledError | TimeoutError)
