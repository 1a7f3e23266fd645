"""Whether a time limit was reached because the loop stood still."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from shardlayer.aio.loop_delay import LOOK_INTERVAL, LoopDelay, stall_tolerant_timeout
from tests.shardlayer.fakes import FakeClock, some_turns, stand_still


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


@pytest.mark.parametrize(("computed", "is_frozen"), [(0.01, True), (0.5, False)])
def test_process_that_computes_is_not_frozen(
    loop: ClockedLoop, monkeypatch: pytest.MonkeyPatch, computed: float, is_frozen: bool
) -> None:
    """Its loop stood still all the same."""
    cpu = 7.0
    monkeypatch.setattr("shardlayer.aio.loop_delay.process_time", lambda: cpu)
    with LoopDelay() as delay:
        cpu += computed
        loop.stand_still(1.0)
        assert delay.is_most()
        assert delay.is_most(frozen=True) is is_frozen


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


LIMIT = 30.0  # seconds
STILL = 40.0  # seconds


async def test_time_is_given_once_more_after_the_loop_stood_still() -> None:
    """An answer that waits in a socket takes some turns."""
    async with stall_tolerant_timeout(LIMIT):
        stand_still(STILL)
        await some_turns()


async def test_time_is_given_only_once_more() -> None:
    """Nobody waits for good for what does not come."""

    async def stand_still_twice() -> None:
        async with stall_tolerant_timeout(LIMIT):
            for _ in range(2):
                stand_still(STILL)
                await some_turns()

    with pytest.raises(TimeoutError):
        await stand_still_twice()


async def test_time_is_over_for_a_loop_that_went_on() -> None:
    """As with asyncio.timeout; what the body raises, or a cancellation, comes out as it is."""
    with pytest.raises(TimeoutError):
        async with stall_tolerant_timeout(0.2):
            await asyncio.get_running_loop().create_future()
    with pytest.raises(LookupError):
        async with stall_tolerant_timeout(LIMIT):
            raise LookupError("made up")

    async def wait() -> None:
        async with stall_tolerant_timeout(LIMIT):
            await asyncio.get_running_loop().create_future()

    waiting = asyncio.create_task(wait())
    await some_turns()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_no_limit() -> None:
    """None means that nothing is too late."""
    async with stall_tolerant_timeout(None):
        stand_still(STILL)
        await some_turns()


async def test_answer_of_the_last_turn_is_not_too_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has come when the time is over, and who waits for it has not run yet."""
    loop, clock = asyncio.get_running_loop(), FakeClock()
    monkeypatch.setattr(loop, "time", clock)
    answer: asyncio.Future[int] = loop.create_future()

    def come() -> None:
        clock.advance(1.0)  # the limit's timer is due behind what is called soon
        loop.call_soon(answer.set_result, 1)

    async with stall_tolerant_timeout(LIMIT):
        for _ in range(round((LIMIT - 0.5) / LOOK_INTERVAL)):  # the loop went on meanwhile
            clock.advance(LOOK_INTERVAL)
            await asyncio.sleep(0)
        loop.call_soon(come)
        assert await answer == 1

    async def go_on_for_too_long() -> None:
        async with stall_tolerant_timeout(LIMIT):
            for _ in range(round((LIMIT + 1) / LOOK_INTERVAL)):
                clock.advance(LOOK_INTERVAL)
                await asyncio.sleep(0)

    with pytest.raises(TimeoutError):
        await go_on_for_too_long()
