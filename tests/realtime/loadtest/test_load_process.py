"""Processes that take part in a load test, and their end."""

from __future__ import annotations

import asyncio

import pytest

from realtime.loadtest.crew.load_process import end_process, start_module


async def test_process_is_gone_whatever_becomes_of_who_ends_it() -> None:
    """As when the loop ends: what nobody waited for, Python would complain of, whenever."""
    process = await start_module("tests.realtime.loadtest.deaf_module", stderr=None)
    assert process.stdout is not None
    assert await process.stdout.readline() == b"deaf\n"
    ending = asyncio.create_task(end_process(process))
    await asyncio.sleep(0)
    ending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ending
    assert process.returncode is not None
