"""Waits that end with the stop."""

from __future__ import annotations

import asyncio

import pytest

from realtime.kafka.stopping import Stop, Stopped

FOREVER = 60.0  # seconds; a test that waits so long has failed


async def test_block_takes_the_time_it_takes() -> None:
    """Without a stop nothing is cut off, and its value stays."""
    stop = Stop()
    async with stop.bounds():
        await asyncio.sleep(0)
    assert not stop.is_set()


async def test_stop_ends_the_wait() -> None:
    """What waits when the stop comes is cancelled, each block for itself."""
    stop = Stop()

    async def wait() -> None:
        async with stop.bounds():
            await asyncio.sleep(FOREVER)

    waiting = [asyncio.create_task(wait()) for _ in range(2)]
    await asyncio.sleep(0)
    stop.set()
    stop.set()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(result) for result in results] == [Stopped, Stopped]


async def test_grace_counts_from_the_stop() -> None:
    """What began before the stop or after it may go on for a while: so a last batch is done."""
    stop = Stop()
    told = asyncio.Event()

    async def finish() -> None:
        async with stop.bounds(FOREVER):
            told.set()
            await stop.wait()
            await asyncio.sleep(0.01)

    task = asyncio.create_task(finish())
    await told.wait()
    stop.set()
    await task
    async with stop.bounds(FOREVER):
        await asyncio.sleep(0.01)


async def test_wait_that_begins_after_the_stop() -> None:
    """It has its grace, and no more."""
    stop = Stop()
    stop.set()
    with pytest.raises(Stopped):
        async with stop.bounds(0.01):
            await asyncio.sleep(FOREVER)


async def test_own_timeout_is_another_matter() -> None:
    """A TimeoutError of the block is raised as such."""
    with pytest.raises(TimeoutError):
        async with Stop().bounds():
            raise TimeoutError


async def test_cancelling_is_another_matter() -> None:
    """A task that is cancelled inside is cancelled, not stopped."""
    stop = Stop()

    async def wait() -> None:
        async with stop.bounds():
            await asyncio.sleep(FOREVER)

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
