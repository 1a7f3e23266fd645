"""What is said of bad records."""

from __future__ import annotations

import pytest

from realtime.kafka.skipped import SAY_EVERY, SkippedRecords
from tests.realtime.clock import FakeClock


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
    clock.now += SAY_EVERY
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
