"""What the pool says: of its work, of bad records, and for aiokafka."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from io import StringIO

import pytest

from realtime.kafka import reporting as module
from realtime.kafka.reporting import (
    LOGGER,
    Progress,
    Sample,
    SkippedRecords,
    quiet_aiokafka,
)
from shardlayer.aio.throttled_log import INTERVAL
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


def test_one_line_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    """The first is said at once, the others together after a minute, with the last one's place."""
    clock = FakeClock()
    skipped = SkippedRecords(clock=clock)
    for offset in range(10):
        skipped.add("events", 3, offset, "no room")
        clock.now += 1
    assert caplog.messages == [
        "Skipped 1 bad record(s); the last: topic events, partition 3, offset 0: no room."
    ]
    clock.now += INTERVAL
    skipped.tick()
    skipped.tick()
    assert caplog.messages[1:] == [
        "Skipped 9 bad record(s); the last: topic events, partition 3, offset 9: no room."
    ]
    assert skipped.total == 10


def test_the_rest_is_said_at_the_end(caplog: pytest.LogCaptureFixture) -> None:
    """What was not said yet is said when the pool ends; nothing when there is nothing."""
    skipped = SkippedRecords(clock=FakeClock())
    skipped.say()
    skipped.add("events", 0, 1, "x")
    skipped.add("events", 0, 2, "x")
    skipped.say()
    assert [message[:9] for message in caplog.messages] == ["Skipped 1", "Skipped 1"]


@pytest.fixture
def aiokafka_logger() -> Iterator[logging.Logger]:
    """aiokafka's logger without a level of its own; afterwards as it was."""
    logger = logging.getLogger(LOGGER)
    level = logger.level
    logger.setLevel(logging.NOTSET)
    yield logger
    logger.setLevel(level)


def test_errors_of_its_parts_are_not_logged(
    aiokafka_logger: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    """Its loggers take the level from the topmost."""
    quiet_aiokafka()
    aiokafka_logger.getChild("consumer.fetcher").error("Failed fetch messages")
    assert caplog.messages == []


def test_a_level_of_the_project_stays(aiokafka_logger: logging.Logger) -> None:
    """Who names a level for it gets its lines."""
    aiokafka_logger.setLevel(logging.DEBUG)
    quiet_aiokafka()
    assert aiokafka_logger.level == logging.DEBUG
