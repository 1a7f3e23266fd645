"""Trouble that recurs is told of once in a while."""

from __future__ import annotations

import logging

import pytest

from shardlayer.aio.throttled_log import INTERVAL, Throttle, ThrottledLog
from tests.realtime.clock import FakeClock


def test_at_first_and_then_each_minute() -> None:
    """It is time at once, and a minute after it was said; another trouble does not wait."""
    clock = FakeClock()
    throttle = Throttle(clock=clock)
    assert [throttle.is_due(), throttle.is_due()] == [True, False]
    clock.now += INTERVAL
    assert [throttle.is_due(), throttle.is_due()] == [True, False]
    throttle.reset()
    assert [throttle.is_due(), throttle.is_due()] == [True, False]


def test_one_line_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    """What comes soon after a line is left."""
    complain = ThrottledLog(logging.getLogger("shardlayer.test"), logging.ERROR)
    for number in range(3):
        complain("It failed: %d.", number)
    assert caplog.messages == ["It failed: 0."]
