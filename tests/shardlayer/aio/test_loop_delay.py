"""Whether a time limit was reached because the loop stood still."""

from __future__ import annotations

import asyncio
import time

from shardlayer.aio.loop_delay import LoopDelay


async def test_loop_that_stands_still_is_told_from_one_that_waits() -> None:
    """Half of the time is enough, a small part of it is not."""
    with LoopDelay() as delay:
        await asyncio.sleep(0.4)
        assert not delay.is_most()
    with LoopDelay() as delay:
        asyncio.get_running_loop().call_soon(time.sleep, 0.4)
        await asyncio.sleep(0.01)
        assert delay.is_most()
        await asyncio.sleep(0.8)
        assert not delay.is_most()


async def test_nothing_is_left_in_the_loop() -> None:
    """A timer of a loop that runs for weeks would stay."""
    with LoopDelay() as delay:
        pass
    timer = delay._timer
    assert timer.cancelled()
