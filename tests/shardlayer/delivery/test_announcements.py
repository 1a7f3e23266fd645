"""Announcements reach every sink, in order, and cost the loop no more than its turn."""

from __future__ import annotations

import asyncio
import gc
import logging
import weakref
from itertools import pairwise

import pytest

from shardlayer.aio.tasks import Tasks
from shardlayer.aio.time_slices import TimeSlices
from shardlayer.delivery.announcements import Announcements
from tests.shardlayer.fakes import BrokenSink, RecordingSink
from tests.waiting import until


def audience_of(
    count: int, *, slice_size: int = 10, max_backlog: int = 1_000, seconds: float = 0.0
) -> tuple[Announcements, list[RecordingSink]]:
    """Return an audience and its sinks."""
    audience = Announcements(
        slice_size=slice_size,
        max_backlog=max_backlog,
        turns=TimeSlices(seconds=seconds),
        tasks=Tasks(),
    )
    sinks = [RecordingSink() for _ in range(count)]
    for sink in sinks:
        audience.attend(sink)
    return audience, sinks


async def test_all_are_told_in_order_and_in_turns() -> None:
    """A slice at a time, between which the loop goes on; who departs is told no more."""
    audience, sinks = audience_of(35)
    for number in (b"1", b"2"):
        audience.tell(number)
    progress: list[int] = []
    while not progress or progress[-1] < 68:
        await asyncio.sleep(0)
        progress.append(sum(len(sink.texts) for sink in sinks))
        if progress[-1] == 30:
            audience.depart(sinks[34])
    steps = {after - before for before, after in pairwise(progress)}
    assert steps <= {0, 4, 10}
    for sink in sinks[:34]:
        assert sink.texts == [b'{"announcement":1}', b'{"announcement":2}']
    assert sinks[34].texts == []


async def test_small_audience_is_told_in_one_turn() -> None:
    """Nobody waits for turns that are not used up."""
    audience, (sink,) = audience_of(1, seconds=60.0)
    for _ in range(5):
        audience.tell(b"1")
    await asyncio.sleep(0)
    assert len(sink.texts) == 5


async def test_what_waits_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    """Past `max_backlog` bytes the next are dropped, counted and said; later ones come again."""
    audience, (sink,) = audience_of(1, max_backlog=100)
    for number in range(10):
        audience.tell(b"%020d" % number)
    dropped = audience.dropped
    assert 0 < dropped < 10
    assert "An announcement was dropped" in caplog.text
    await until(lambda: len(sink.texts) == 10 - dropped)
    audience.tell(b"11")
    await until(lambda: sink.texts[-1] == b'{"announcement":11}')
    assert (audience.told, audience.dropped) == (11, dropped)
    await audience.aclose()


async def test_sink_that_fails_is_told_no_more() -> None:
    """The others are."""
    audience, (sink,) = audience_of(1)
    broken = BrokenSink()
    audience.attend(broken)
    audience.tell(b"1")
    audience.tell(b"2")
    await until(lambda: len(sink.texts) == 2)
    assert (broken.writes, audience.failed, len(audience)) == (1, 1, 1)


async def test_sink_that_fails_is_freed_at_once(caplog: pytest.LogCaptureFixture) -> None:
    """What it raised knows frames, and these know what it raised."""
    audience, (sink,) = audience_of(1)
    broken = BrokenSink()
    gone = weakref.ref(broken)
    audience.attend(broken)
    del broken
    gc.disable()
    try:
        with caplog.at_level(logging.CRITICAL, "shardlayer.delivery.announcements"):
            audience.tell(b"1")
            await until(lambda: len(sink.texts) == 1 and audience.failed == 1)
        await until(lambda: gone() is None)
    finally:
        gc.enable()
