"""Deliveries that share a loop let it go on, and each other."""

from __future__ import annotations

import asyncio
import time

from shardlayer.aio.time_slices import TimeSlices
from tests.waiting import PATIENCE


async def work(turns: TimeSlices, name: str, pieces: int, seconds: float, log: list[str]) -> None:
    """Do pieces of work that hold the loop up, as a delivery does."""
    turns.begin()
    try:
        for _ in range(pieces):
            if time.perf_counter() >= turns.ends:
                await turns.wait()
            log.append(name)
            time.sleep(seconds)  # noqa: ASYNC251 (it is to hold the loop up)
    finally:
        turns.end()


async def test_loop_goes_on_after_each_piece_that_takes_a_turn() -> None:
    """However many deliveries there are, one of them works in each turn of a busy loop."""
    turns = TimeSlices(seconds=0.001)
    log: list[str] = []
    tasks = [asyncio.create_task(work(turns, name, 5, 0.002, log)) for name in "abc"]
    done_before, most = 0, 0
    while not all(task.done() for task in tasks):
        await asyncio.sleep(0)
        most = max(most, len(log) - done_before)
        done_before = len(log)
    assert most == 1


async def test_each_comes_to_its_turn() -> None:
    """Nobody waits for another to end: they take turns in their order."""
    turns = TimeSlices(seconds=0.001)
    log: list[str] = []
    await asyncio.gather(*(work(turns, name, 5, 0.002, log) for name in "abc"))
    # The first goes before the others stand in the line, unless its first turn was over at once.
    assert "".join(log) in ("a" + 4 * "abc" + "bc", 5 * "abc")


async def test_short_deliveries_share_a_turn() -> None:
    """What takes no time waits for nothing."""
    turns = TimeSlices(seconds=60.0)
    log: list[str] = []
    tasks = [asyncio.create_task(work(turns, name, 3, 0.0, log)) for name in "ab"]
    await asyncio.sleep(0)
    assert log == list("aaabbb")
    await asyncio.gather(*tasks)


async def test_cancelled_delivery_holds_up_nobody() -> None:
    """One that is cancelled in the line, or just when its turn comes, passes it on."""
    turns = TimeSlices(seconds=0.0)
    log: list[str] = []
    tasks = [asyncio.create_task(work(turns, name, 3, 0.0, log)) for name in "abcd"]
    await asyncio.sleep(0)
    tasks[0].cancel()
    tasks[2].cancel()
    await asyncio.wait(tasks)
    assert sorted(log) == list("bbbddd")


async def test_idle_loop_begins_a_whole_turn() -> None:
    """After a pause a delivery does not find its turn over."""
    turns = TimeSlices(seconds=60.0)
    for _ in range(2):
        turns.begin()
        assert time.perf_counter() < turns.ends
        turns.end()


async def test_who_goes_its_way_holds_up_nobody() -> None:
    """One that waited for its turn, and neither waits again nor says that it ended."""
    turns = TimeSlices(seconds=0.0)
    log: list[str] = []
    turns.begin()
    once = asyncio.create_task(turns.wait())
    await asyncio.sleep(0)
    await asyncio.wait_for(work(turns, "a", 3, 0.0, log), PATIENCE)
    await once
    assert log == list("aaa")


async def test_all_in_the_line_come_to_their_turns() -> None:
    """Though none of them does anything after it."""
    turns = TimeSlices(seconds=0.0)
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*(turns.wait() for _ in range(3)))
