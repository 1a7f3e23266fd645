"""Errors are logged once in a while, however many there are."""

from __future__ import annotations

import logging

import pytest

from shardlayer.aio.error_log import LIMIT, ErrorLog, raised_at
from shardlayer.aio.throttled_log import INTERVAL
from tests.realtime.clock import FakeClock

logger = logging.getLogger("shardlayer.test")


def number_in(text: str) -> int:
    """Read a number; raises of two kinds, each at a place of its own."""
    if not text:
        raise LookupError("There is no text.")
    return int(text)


def failure(text: str) -> Exception:
    """Return what reading a number raises."""
    try:
        number_in(text)
    except Exception as error:
        return error
    raise AssertionError(text)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def test_hundred_failures_are_one_line(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    """It has the traceback; the next line, a minute later, says how many were left out."""
    log = ErrorLog(logger, clock=clock)
    for number in range(100):
        log("The order %s failed.", number, exc_info=failure("x"))
    assert caplog.messages == ["The order 0 failed."]
    assert "ValueError: invalid literal" in caplog.text
    clock.now += INTERVAL
    for number in range(100, 200):
        log("The order %s failed.", number, exc_info=failure("y"))
    assert caplog.messages[1:] == ["The order 100 failed. (99 more like this since the last line.)"]
    clock.now += 2 * INTERVAL
    log("The order %s failed.", 7, exc_info=failure("x"))
    clock.now += INTERVAL
    log("The order %s failed.", 8, exc_info=failure("x"))
    assert caplog.messages[2:] == [
        "The order 7 failed. (99 more like this since the last line.)",
        "The order 8 failed.",
    ]


def test_another_kind_has_its_own_line(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    """Raised elsewhere, of another type, in other words or set apart: none hides another."""
    log = ErrorLog(logger, clock=clock)
    for _ in range(2):
        log("It failed.", exc_info=failure("x"))
        log("It failed.", exc_info=failure(""))
        log("That failed.", exc_info=failure("x"))
        log("It failed.", exc_info=failure("x"), kind="apart")
        log("It failed.")
    assert len(caplog.messages) == 5


def test_kinds_are_limited(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    """Those for which there is no place have one line together, until others had their minute."""
    log = ErrorLog(logger, clock=clock)
    for number in range(2 * LIMIT):
        log("It failed.", kind=number)
    assert len(caplog.messages) == LIMIT + 1
    clock.now += INTERVAL
    caplog.clear()
    log("It failed.", kind="new")
    log("It failed.", kind="newer")
    assert caplog.messages == ["It failed.", "It failed."]


def test_place_is_the_innermost(clock: FakeClock) -> None:
    """Where an error was raised, and not where it was caught."""
    there = raised_at(failure("").__traceback__)
    assert there is not None
    assert there[0] == __file__
    assert there[1] == number_in.__code__.co_firstlineno + 3
    assert raised_at(None) is None


def test_forgotten_failures_are_new(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    """The next one is logged at once, and counts no other."""
    log = ErrorLog(logger, clock=clock)
    for _ in range(3):
        log("An order failed.", exc_info=failure("x"))
    log.forget()
    log("An order failed.", exc_info=failure("x"))
    assert caplog.messages == ["An order failed."] * 2
