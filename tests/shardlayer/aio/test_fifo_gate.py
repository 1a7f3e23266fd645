"""Callers that wait for something, and those who come when it is there."""

from __future__ import annotations

import asyncio

import pytest

from shardlayer.aio.fifo_gate import FifoGate


class Door:
    """Is opened after some turns of the loop, and knows in which order callers came through."""

    def __init__(self, turns: int = 5) -> None:
        self.turns = turns
        self.is_open = False
        self.attempts = 0
        self.through: list[int] = []
        self.error: Exception | None = None
        self.gate = FifoGate(is_ready=lambda: self.is_open, prepare=self._open, name="door")

    async def _open(self) -> None:
        self.attempts += 1
        for _ in range(self.turns):
            await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        self.is_open = True

    async def call(self, number: int) -> None:
        if not self.gate.is_open:
            await self.gate.enter()
        self.through.append(number)


async def test_callers_of_every_turn_keep_their_order() -> None:
    """Before, while and after it is opened; and it is opened once."""
    door = Door()
    calls = []
    for number in range(50):
        calls += [asyncio.create_task(door.call(number)) for _ in range(2)]
        await asyncio.sleep(0)
    await asyncio.gather(*calls)
    assert door.through == [number for number in range(50) for _ in range(2)]
    assert door.attempts == 1
    assert door.gate.is_open


async def test_who_comes_alone_when_it_is_open_does_not_wait() -> None:
    """Nothing is awaited: the caller is through in the turn in which it came."""
    door = Door()
    await door.call(0)
    await asyncio.sleep(0)
    coroutine = door.call(1)
    with pytest.raises(StopIteration):
        coroutine.send(None)
    assert door.through == [0, 1]


async def test_failure_is_told_to_all_who_waited_and_tried_again_for_others() -> None:
    """One attempt, one error; who comes then has another attempt."""
    door = Door()
    door.error = OSError("locked")
    outcomes = await asyncio.gather(*map(door.call, range(5)), return_exceptions=True)
    assert outcomes == [door.error] * 5
    assert door.attempts == 1
    door.error = None
    await door.call(5)
    assert (door.through, door.attempts) == ([5], 2)


async def test_cancelled_callers_hold_nobody_up() -> None:
    """Neither the first, whose call began it, nor one in the middle."""
    door = Door()
    calls = [asyncio.create_task(door.call(number)) for number in range(6)]
    await asyncio.sleep(0)
    calls[0].cancel()
    calls[3].cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    assert door.through == [1, 2, 4, 5]
    assert door.gate.is_open


async def test_what_is_lost_again_is_prepared_again() -> None:
    """Also when it is lost while somebody waits behind others."""
    door = Door()
    first = asyncio.create_task(door.call(0))
    while not door.is_open:  # noqa: ASYNC110 (nobody tells)
        await asyncio.sleep(0)
    second = asyncio.create_task(door.call(1))
    await asyncio.sleep(0)
    door.is_open = False
    await asyncio.gather(first, second)
    await door.call(2)
    assert door.through == [0, 1, 2]
    assert door.attempts == 2


async def test_close_tells_who_waits() -> None:
    """They are not cancelled, for nobody cancelled them; and nothing goes on preparing."""
    door = Door(turns=1_000_000)
    calls = [asyncio.create_task(door.call(number)) for number in range(3)]
    await asyncio.sleep(0)
    await door.gate.aclose()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ConnectionError] * 3
    assert not door.is_open
