"""A loop is closed although what is to be done before can't be."""

from __future__ import annotations

import asyncio

import pytest

from shardlayer.aio.loop_endings import before_close
from tests.no_threads import no_more_threads


async def test_closed_from_a_thread_that_runs_another_loop() -> None:
    """What was begun ends first, in a thread of its own."""
    loop, ended = asyncio.new_event_loop(), []

    async def end() -> None:
        ended.append(asyncio.get_running_loop())

    before_close(loop, end)
    loop.close()
    assert ended == [loop]
    assert loop.is_closed()


async def test_closed_where_no_thread_can_be_started(caplog: pytest.LogCaptureFixture) -> None:
    """Who closes it is not told, and nothing is left open; the log says what was not done."""
    loop, ended = asyncio.new_event_loop(), []

    async def end() -> None:
        ended.append(True)

    for _ in range(2):
        before_close(loop, end)
    with no_more_threads():
        loop.close()
    assert loop.is_closed()
    assert ended == []
    assert len(caplog.records) == 2
    assert "can't start new thread" in caplog.text
    loop.close()  # once more does no harm
