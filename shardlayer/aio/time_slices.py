"""How long deliveries, and what else a node does for many rooms, hold up an event loop.

A loop that delivers must go on to read, or what is published for it piles up in Redis, which ends
connections that are not read. So the deliveries of a loop share a short time of each of its turns.
Those that find it over stand in a line, from which one goes on in each turn.
"""

from __future__ import annotations

import asyncio
from collections import deque
from time import perf_counter

TURN = 0.005  # seconds


class TimeSlices:
    """The turns of one event loop, shared by the deliveries that are under way.

    A delivery calls `begin`, and `end` at last. Between them, before each thing it does, it looks
    whether `perf_counter` has passed `ends`, and if so who runs it awaits `wait`. Who does one
    short thing at a time just awaits `wait` before each.

    Args:
        seconds: What deliveries may take of one turn, together.

    Attributes:
        ends: When they have to let the loop go on.
    """

    def __init__(self, seconds: float = TURN) -> None:
        self.ends = 0.0
        self._seconds = seconds
        self._under_way = 0
        self._line: deque[asyncio.Future[None]] = deque()
        self._is_next_due = False

    def begin(self) -> None:
        """Note that a delivery begins. The first has a whole turn."""
        if not self._under_way:
            self.ends = perf_counter() + self._seconds
        self._under_way += 1

    async def wait(self) -> None:
        """Let the loop go on, and those who waited before; return when it is this one's turn."""
        loop = asyncio.get_running_loop()
        turn = loop.create_future()
        self._line.append(turn)
        self._call_next(loop)
        await turn

    def end(self) -> None:
        """Note that a delivery ended."""
        self._under_way -= 1
        if self._line:
            self._call_next(asyncio.get_running_loop())

    def _call_next(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._is_next_due:
            self._is_next_due = True
            loop.call_soon(self._next)

    def _next(self) -> None:
        self._is_next_due = False
        self.ends = perf_counter() + self._seconds
        while self._line:
            turn = self._line.popleft()
            if not turn.done():  # its delivery was cancelled
                turn.set_result(None)
                break
        if self._line:
            self._call_next(asyncio.get_running_loop())  # whatever that one does next
