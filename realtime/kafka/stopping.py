"""Telling a reader to stop, although what it waits for may never answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Stopped(Exception):
    """What was waited for did not end in the time that it had after the stop."""


class Stop(asyncio.Event):
    """An event that also ends waits: aiokafka tries forever while Kafka is away."""

    def __init__(self) -> None:
        super().__init__()
        self._bounded: dict[asyncio.Timeout, float] = {}  # what runs -> seconds after the stop

    def set(self) -> None:
        """Tell everybody who waits for it or is bounded by it. In the loop's thread only."""
        if not self.is_set():
            super().set()
            now = asyncio.get_running_loop().time()
            for timeout, grace in self._bounded.items():
                timeout.reschedule(now + grace)

    @asynccontextmanager
    async def bounds(self, grace: float = 0.0) -> AsyncIterator[None]:
        """Run a block until it ends, however long it takes, but after the stop `grace` seconds.

        It runs in the caller's own task: between what it awaits and what follows nobody comes in.

        Raises:
            Stopped: The time was over; the block was cancelled.
        """
        now = asyncio.get_running_loop().time()
        timeout = asyncio.timeout_at(now + grace if self.is_set() else None)
        try:
            async with timeout:
                self._bounded[timeout] = grace
                try:
                    yield
                finally:
                    del self._bounded[timeout]
        except TimeoutError:
            if timeout.expired():
                raise Stopped from None
            raise  # the block's own
