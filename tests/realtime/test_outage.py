"""Waiting for what is away."""

from __future__ import annotations

import asyncio
import logging

import pytest

from realtime.outage import LASTING_PAUSE, Outage, pause
from shardlayer.aio.backoff import FIRST, LONGEST
from shardlayer.aio.throttled_log import INTERVAL
from tests.realtime.clock import FakeClock


def test_says_it_once_then_each_minute(caplog: pytest.LogCaptureFixture) -> None:
    """An outage is one line, one more each minute, and one when it is over."""
    clock = FakeClock()
    outage = Outage("Redis", logging.getLogger("realtime.test"), clock=clock)
    for _ in range(5):
        outage.failed("refused")
        clock.now += 1
    assert caplog.messages == ["Redis is not available, waiting for it: refused"]
    clock.now += INTERVAL
    outage.failed("refused")
    assert caplog.messages[1:] == ["Redis has been away for 65 s, waiting for it: refused"]
    outage.over()
    outage.over()
    assert caplog.messages[2:] == ["Redis is back after 65.0 s."]


def test_delays_grow_and_start_anew() -> None:
    """Waiting grows to a limit, and begins small again after a success."""
    outage = Outage("Redis", logging.getLogger("realtime.test"))
    delays = [outage.failed("x") for _ in range(10)]
    assert delays[0] <= FIRST
    assert LONGEST / 2 <= delays[-1] <= LONGEST
    outage.over()
    assert outage.failed("x") <= FIRST


async def test_pause_ends_with_the_event() -> None:
    """A pause says whether the event ended it."""
    event = asyncio.Event()
    assert await pause(0.001, unless=event) is False
    asyncio.get_running_loop().call_soon(event.set)
    assert await pause(60, unless=event) is True


def test_what_waiting_does_not_mend(caplog: pytest.LogCaptureFixture) -> None:
    """It is said once, with what to do, and is tried again more seldom; nothing is "back" after."""
    outage = Outage("Kafka", logging.getLogger("realtime.test"), clock=FakeClock())
    for _ in range(3):
        assert outage.failed("no rights", advice="allow READ.") == LASTING_PAUSE
    outage.over()
    outage.failed("wrong password", advice="see KAFKA_PASSWORD.")
    assert caplog.messages == [
        "Kafka: no rights. Waiting will not help: allow READ.",
        "Kafka: wrong password. Waiting will not help: see KAFKA_PASSWORD.",
    ]
    assert {record.levelname for record in caplog.records} == {"ERROR"}
