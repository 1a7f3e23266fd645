"""Those who wait until a worker has read a log: all together for a while, and not again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from realtime.access.first_reading import FirstReading
from shardlayer import Tasks
from tests.waiting import PATIENCE

NEVER = 10 * PATIENCE  # seconds


@pytest.fixture
async def reading() -> AsyncIterator[FirstReading]:
    """Of a log that nobody has read."""
    tasks = Tasks()
    reading = FirstReading(tasks, "read in a test")
    yield reading
    reading.give_up()
    await tasks.aclose()


async def soon(reading: FirstReading, patience: float) -> bool:
    """Return what a wait returns that takes no time."""
    return await asyncio.wait_for(reading.wait(patience), PATIENCE)


async def test_all_wait_together_and_once(reading: FirstReading) -> None:
    """When the time of the first is over, it is over for all, and for whoever comes later."""
    first = asyncio.create_task(reading.wait(0.01))
    await asyncio.sleep(0)
    assert not await soon(reading, NEVER)
    assert not await first
    assert not await soon(reading, NEVER)
    reading.finish()
    assert await soon(reading, NEVER)


async def test_read_in_time(reading: FirstReading) -> None:
    """Whoever waits goes on at once; one that goes away takes the others no time."""
    gone, waits = [asyncio.create_task(reading.wait(NEVER)) for _ in range(2)]
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.sleep(0)
    assert not waits.done()
    reading.finish()
    assert await asyncio.wait_for(waits, PATIENCE)
    assert reading.is_done


async def test_again_after_a_loss(reading: FirstReading) -> None:
    """A log that is read again is waited for again."""
    reading.finish()
    reading.begin_again()
    assert not reading.is_done
    waits = asyncio.create_task(reading.wait(NEVER))
    await asyncio.sleep(0)
    reading.finish()
    assert await asyncio.wait_for(waits, PATIENCE)


async def test_nobody_waits_for_what_has_ended(reading: FirstReading) -> None:
    """Such as clients of a worker that ends."""
    waits = asyncio.create_task(reading.wait(NEVER))
    await asyncio.sleep(0)
    reading.give_up()
    assert not await asyncio.wait_for(waits, PATIENCE)
    assert not await soon(reading, NEVER)
