"""What the pool says about its work."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from io import StringIO

import pytest

from realtime.kafka import progress as module
from realtime.kafka.progress import Progress, Sample
from realtime.kafka.skipped import SkippedRecords
from tests.realtime.clock import FakeClock
from tests.waiting import until


def test_line() -> None:
    """The line has rate, lag and rooms; skipped records only when there are some."""
    sample = Sample(records=12_345, seconds=10.0, lag=1_000, rooms=4, skipped=0)
    assert str(sample) == "1,234 records/s, lag 1,000, 4 rooms"
    sample = Sample(records=0, seconds=1.0, lag=0, rooms=0, skipped=2)
    assert str(sample) == "0 records/s, lag 0, 0 rooms, 2 skipped"


def test_sample_starts_anew() -> None:
    """A sample covers what came since the last one; a room counts once in it."""
    clock = FakeClock()
    skipped = SkippedRecords(clock=clock)
    progress = Progress(lag=lambda: 7, skipped=skipped, terminal=None, clock=clock)
    progress.took(3, ["a", "a", "b"])
    progress.took(1, ["b"])
    skipped.add("events", 0, 0, "x")
    clock.now += 2
    assert progress.sample() == Sample(records=4, seconds=2.0, lag=7, rooms=2, skipped=1)
    clock.now += 1
    assert progress.sample() == Sample(records=0, seconds=1.0, lag=7, rooms=0, skipped=1)


async def test_live_line_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal one line is written over and over."""
    monkeypatch.setattr(module, "LIVE_INTERVAL", 0.001)
    terminal = StringIO()
    await run_until(terminal, lambda: terminal.getvalue().count("\r") >= 3)
    assert "records/s, lag 0, 0 rooms" in terminal.getvalue()
    assert terminal.getvalue().count("\n") == 1


async def test_log_lines_elsewhere(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Elsewhere lines are logged, and only while there is something to say."""
    monkeypatch.setattr(module, "LOG_INTERVAL", 0.001)
    caplog.set_level(logging.INFO, "realtime")
    lag = iter([5, 0, 0, 0])
    asked: list[int] = []

    def next_lag() -> int:
        asked.append(next(lag, 0))
        return asked[-1]

    await run_until(None, lambda: len(asked) >= 4, lag=next_lag)
    assert len(caplog.messages) == 1
    assert "lag 5" in caplog.messages[0]


async def run_until(
    terminal: StringIO | None, done: Callable[[], bool], lag: Callable[[], int] = lambda: 0
) -> None:
    """Run a Progress until `done()`."""
    stop = asyncio.Event()
    progress = Progress(lag=lag, skipped=SkippedRecords(), terminal=terminal, clock=FakeClock())
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(progress.run(stop))
        await until(done)
        stop.set()
