"""How late an event loop is, on a loop whose clock the test sets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from realtime.metrics.loop_looks import LONGEST, PAUSE, LoopLooks
from shardlayer import Histogram

BOUNDS = (0.01, 0.3, 0.5, 0.7, 0.9, 1.1)


class LateLoop(asyncio.SelectorEventLoop):
    """A loop that never runs: its one timer is called when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000.05
        self.due = 0.0
        self.timers: list[asyncio.TimerHandle] = []

    def time(self) -> float:
        return self.now

    def call_at(
        self, when: float, callback: Callable[..., object], *args: object, **_: object
    ) -> asyncio.TimerHandle:
        self.due = when
        self.timers.append(asyncio.TimerHandle(when, callback, args, self))
        return self.timers[-1]

    def come(self, late: float) -> None:
        """Call the timer, so many seconds after it was due."""
        self.now = self.due + late
        self.timers.pop()._run()


@pytest.mark.parametrize(
    ("late", "counts"),
    [
        (0.0, [1, 0, 0, 0, 0, 0, 0]),
        (-1e-9, [1, 0, 0, 0, 0, 0, 0]),  # as a loop may
        (0.1, [0, 1, 0, 0, 0, 0, 0]),
        (1.0, [1, 1, 1, 1, 1, 1, 0]),  # late by 1.0, 0.8, 0.6, 0.4, 0.2 and 0 s
    ],
)
def test_each_look_that_was_due_counts(late: float, counts: list[int]) -> None:
    """So a loop that stood still for long is late more often, as whoever asks it finds."""
    loop, delays = LateLoop(), Histogram(BOUNDS)
    looks = LoopLooks(loop, delays)
    looks.start()
    assert loop.due == pytest.approx(1_000.2)
    loop.come(late)
    assert delays.counts == counts
    assert 0 < loop.due - loop.now <= PAUSE + 1e-6
    looks.stop()
    assert [timer.cancelled() for timer in loop.timers] == [True]
    loop.close()


def test_suspended_process_is_not_asked_for_all_that_time() -> None:
    """After a day the loop goes on at once."""
    loop, delays = LateLoop(), Histogram(BOUNDS)
    LoopLooks(loop, delays).start()
    loop.come(86_400.0)
    assert sum(delays.counts) == pytest.approx(LONGEST / PAUSE, abs=2)
    loop.close()
