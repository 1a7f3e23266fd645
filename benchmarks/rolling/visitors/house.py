"""All visitors, and what the benchmark may ask of them."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.faults.clients.gathering import Gathering
from benchmarks.faults.clients.tally import Tally
from benchmarks.rolling.visitors.visitor import Visitor
from benchmarks.statistics import percentile

_AT_ONCE = 50  # clients that come at the same time at first


class House(Gathering):
    """The visitors of one process; each method answers what goes into JSON."""

    def __init__(self) -> None:
        super().__init__()
        self._visitors: list[Visitor] = []

    async def join(
        self, *, port: int, rooms: Sequence[str], source: str, seed: int, patience: float
    ) -> dict[str, Any]:
        """Have one visitor more for each room named, and wait until all are subscribed."""
        deadline = time.monotonic() + patience
        for number, room in enumerate(rooms):
            visitor = Visitor(
                ports=[port],
                rooms=[room],
                sources=[source],
                tally=lambda: self._tally,
                chance=random.Random(f"{seed}/{number}"),
                restless=False,
            )
            self._visitors.append(visitor)
            self._tasks.append(asyncio.create_task(visitor.run()))
            if number % _AT_ONCE == _AT_ONCE - 1:
                await self._wait(self._all_here, deadline - time.monotonic())
        await self._wait(self._all_here, deadline - time.monotonic())
        return {"here": sum(visitor.is_joined for visitor in self._visitors)}

    async def begin(self, *, rooms: Sequence[str]) -> dict[str, Any]:
        """Begin to count, and to keep the latencies of what comes to these rooms."""
        self._tally = Tally(begun=time.monotonic_ns(), timed=frozenset(rooms))
        for visitor in self._visitors:
            visitor.returns.clear()
        return {}

    async def settle(self, *, patience: float) -> dict[str, Any]:
        """Wait until all are subscribed."""
        await self._wait(self._all_here, patience)
        return {"here": sum(visitor.is_joined for visitor in self._visitors)}

    async def collect(self, *, ends: Mapping[str, int], patience: float) -> dict[str, Any]:
        """Wait for all numbers below `ends[room]`, and return what was counted."""
        sequences = [
            (numbers, ends[room])
            for visitor in self._visitors
            for (room, _), numbers in visitor.numbers.items()
        ]
        await self._wait(lambda: all(numbers.complete(end) for numbers, end in sequences), patience)
        tally = self._tally
        for numbers, end in sequences:
            numbers.close(end, tally)
        latencies = sorted(tally.latencies) or [0]
        return {
            "delivered": tally.delivered,
            "lost": tally.lost + tally.told,  # who is told has lost it all the same
            "repeated": tally.twice + tally.misordered,
            "p50_ms": percentile(latencies, 50) / 1e6,
            "p99_ms": percentile(latencies, 99) / 1e6,
            "max_ms": latencies[-1] / 1e6,
            "returns": [each for visitor in self._visitors for each in visitor.returns],
        }

    def _all_here(self) -> bool:
        return all(visitor.is_joined for visitor in self._visitors)
