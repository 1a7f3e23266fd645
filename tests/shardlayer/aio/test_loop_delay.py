"""Whether a time limit was reached because the loop stood still."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from shardlayer.aio.loop_delay import LOOK_INTERVAL, LoopDelay


class ClockedLoop:
    """A loop whose time passes when it is told to, and that has one timer."""

    def __init__(self) -> None:
        self.now = 100.0
        self._due = 0.0
        self._call: Callable[[], None] = lambda: None

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, call: Callable[[], None]) -> ClockedLoop:
        self._due, self._call = self.now + delay, call
        return self

    def when(self) -> float:
        return self._due

    def cancel(self) -> None:
        """The timer is this loop itself."""

    def wait(self, seconds: float) -> None:
        """Let time pass, with each timer called when it is due."""
        end = self.now + seconds
        while self._due <= end:
            self.now = self._due
            self._call()
        self.now = end

    def stand_still(self, seconds: float) -> None:
        """Let time pass without calling a timer that is due, until the end."""
        self.now += seconds
        if self._due <= self.now:
            self._call()


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> ClockedLoop:
    """The running loop, as the module has it."""
    clocked = ClockedLoop()
    monkeypatch.setattr(asyncio, "get_running_loop", lambda: clocked)
    return clocked


def test_loop_that_waits(loop: ClockedLoop) -> None:
    """It stood still for no time."""
    with LoopDelay() as delay:
        loop.wait(1.0)
        assert not delay.is_most()


def test_loop_that_stands_still(loop: ClockedLoop) -> None:
    """Half of the time is enough, a smaller part of it is not."""
    with LoopDelay() as delay:
        loop.stand_still(1.0 + LOOK_INTERVAL)
        assert delay.is_most()
        loop.wait(0.9)
        assert delay.is_most()
        loop.wait(0.2)
        assert not delay.is_most()


async def test_real_loop_that_is_blocked() -> None:
    """It is noticed as soon as the loop goes on."""
    with LoopDelay() as delay:
        asyncio.get_running_loop().call_soon(time.sleep, 0.4)
        await asyncio.sleep(0.01)
        assert delay.is_most()


async def test_nothing_is_left_in_the_loop() -> None:
    """A timer of a loop that runs for weeks would stay."""
    with LoopDelay() as delay:
        pass
    timer = delay._timer
    assert timer.cancelled()
