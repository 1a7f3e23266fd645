"""Whose piece of work is next."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import pytest

from realtime.clients.round_robin import RoundRobin
from tests.waiting import until


class Work:
    """Pieces of work that end when they are told to."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self._ends: dict[str, asyncio.Event] = {}

    async def do(self, name: str) -> str:
        self.begun.append(name)
        self._ends[name] = asyncio.Event()
        await self._ends[name].wait()
        return name

    async def end(self, name: str) -> None:
        """End a piece, and let what follows begin."""
        self._ends[name].set()
        for _ in range(4):
            await asyncio.sleep(0)

    def all_of(self, asker: str, count: int) -> list[Callable[[], Coroutine[Any, Any, str]]]:
        return [partial(self.do, f"{asker}{number}") for number in range(count)]


async def settle() -> None:
    """Let what can begin begin."""
    for _ in range(4):
        await asyncio.sleep(0)


async def test_askers_take_turns() -> None:
    """Who asks for one piece waits behind one piece of each other, not behind all of them."""
    turns, work = RoundRobin(2, hold=60.0), Work()
    many = asyncio.create_task(turns.run_all(work.all_of("a", 5)))
    await settle()
    more = asyncio.create_task(turns.run_all(work.all_of("b", 5)))
    await settle()
    one = asyncio.create_task(turns.run(partial(work.do, "c")))
    await settle()
    assert work.begun == ["a0", "a1"]
    for name in ("a0", "a1", "a2"):
        await work.end(name)
    assert work.begun == ["a0", "a1", "a2", "b0", "c"]
    await work.end("c")
    assert await one == "c"
    while not (many.done() and more.done()):
        for name in list(work.begun):
            await work.end(name)
    assert await many == [f"a{number}" for number in range(5)]
    assert await more == [f"b{number}" for number in range(5)]


async def test_work_that_takes_long_holds_up_nobody() -> None:
    """After its time it no longer counts, and goes on."""
    turns, work = RoundRobin(1, hold=0.01), Work()
    stuck = asyncio.create_task(turns.run(partial(work.do, "stuck")))
    await settle()
    other = asyncio.create_task(turns.run(partial(work.do, "other")))
    await until(lambda: "other" in work.begun)
    await work.end("other")
    await work.end("stuck")
    assert (await other, await stuck) == ("other", "stuck")


async def test_cancelled_asker_takes_its_work_along() -> None:
    """What it began is cancelled, what waits is not begun, and others go on."""
    turns, work = RoundRobin(1, hold=60.0), Work()
    gone = asyncio.create_task(turns.run_all(work.all_of("a", 3)))
    await settle()
    stays = asyncio.create_task(turns.run(partial(work.do, "b")))
    await settle()
    gone.cancel()
    await settle()
    assert work.begun == ["a0", "b"]
    await work.end("b")
    assert await stays == "b"
    with pytest.raises(asyncio.CancelledError):
        await gone


async def test_failure_is_raised_after_all_ended() -> None:
    """The first failure of one asker's pieces, and nobody else's."""

    async def fail() -> None:
        raise ValueError("no")

    turns, work = RoundRobin(1, hold=60.0), Work()
    with pytest.raises(ValueError, match="no"):
        await turns.run_all([fail, fail])
    with pytest.raises(ValueError, match="no"):
        await turns.run(fail)
    one = asyncio.create_task(turns.run(partial(work.do, "a")))
    await settle()
    await work.end("a")
    assert await one == "a"


@pytest.mark.parametrize("is_cancelled", [True, False])
async def test_no_failure_is_left_over(is_cancelled: bool) -> None:
    """Where several fail, or do so as they are cancelled, asyncio complains of none."""

    async def fail() -> str:
        try:
            await asyncio.sleep(60.0 if is_cancelled else 0.0)
        finally:
            raise ValueError("no")

    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, said: complaints.append(said))
    turns, work = RoundRobin(0), Work()
    asker = asyncio.create_task(turns.run_all([fail, fail, *work.all_of("a", 1)]))
    await settle()
    if is_cancelled:
        asker.cancel()
    else:
        await work.end("a0")
    await asyncio.wait([asker])
    assert asker.cancelled() or isinstance(asker.exception(), ValueError)
    del asker
    await settle()
    gc.collect()
    assert complaints == []


async def test_no_limit() -> None:
    """A width of 0 begins everything at once; nothing to do is done."""
    turns, work = RoundRobin(0), Work()
    all_at_once = asyncio.create_task(turns.run_all(work.all_of("a", 50)))
    await settle()
    assert len(work.begun) == 50
    all_at_once.cancel()
    assert await turns.run_all([]) == []
    with pytest.raises(asyncio.CancelledError):
        await all_at_once
