"""What every process of recording clients has: their tasks, and a way to wait for something."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from benchmarks.faults.clients.tally import Tally

_POLL = 0.02  # seconds


class Gathering:
    """Clients that run, and what they counted in this slice."""

    def __init__(self) -> None:
        self._tally = Tally(begun=time.monotonic_ns())
        self._tasks: list[asyncio.Task[None]] = []

    async def _wait(self, condition: Callable[[], object], patience: float) -> None:
        deadline = time.monotonic() + patience
        while not condition() and time.monotonic() < deadline:
            for task in self._tasks:
                if task.done():
                    task.result()  # a client that fails is a broken benchmark
            await asyncio.sleep(_POLL)
