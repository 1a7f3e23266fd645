"""When which room gets its next message."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from typing import Any

import orjson

from benchmarks.faults.sources.base import Message, Source

_BEHIND = 1.0  # seconds; a plan that was missed by more than that is given up, not caught up with


class Flow:
    """Sends to each room at a steady rate, each message when the room's last is acknowledged.

    Rooms are sent to in groups, all of a group at the same moment.

    Args:
        name: Of the source, as the messages carry it.
        source: Open.
        rooms: Where to.
        rate: Messages/s to each room.
        group: Rooms in a group.
    """

    def __init__(
        self, name: str, source: Source, *, rooms: Sequence[str], rate: float, group: int
    ) -> None:
        self._name = name
        self._source = source
        self._interval = 1 / rate  # seconds
        self._next = dict.fromkeys(rooms, 0)
        self._groups = [rooms[first : first + group] for first in range(0, len(rooms), group)]
        self._published = 0
        self._acknowledged = 0
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def begin(self) -> dict[str, Any]:
        """Go on where the last slice ended."""
        self._published = self._acknowledged = 0
        self._stopping.clear()
        self._tasks = [asyncio.create_task(self._fill(rooms)) for rooms in self._groups]
        return {}

    async def end(self, *, patience: float) -> dict[str, Any]:
        """Send nothing new, wait for what is under way, and answer with the slice's account.

        Raises:
            TimeoutError: Something is not acknowledged within `patience` seconds.
        """
        self._stopping.set()
        async with asyncio.timeout(patience):
            await asyncio.gather(*self._tasks)
        return {
            "published": self._published,
            "acknowledged": self._acknowledged,
            "ends": self._next,
        }

    async def _fill(self, rooms: Sequence[str]) -> None:
        planned = time.monotonic() + random.uniform(0, self._interval)
        while True:
            await asyncio.sleep(max(0.0, planned - time.monotonic()))
            if self._stopping.is_set():
                return
            messages = [self._message(room) for room in rooms]
            self._published += len(messages)
            await self._source.send(messages)
            self._acknowledged += len(messages)
            planned += self._interval
            if time.monotonic() - planned > _BEHIND:
                planned = time.monotonic()

    def _message(self, room: str) -> Message:
        number = self._next[room]
        self._next[room] += 1
        content = {"source": self._name, "number": number, "sent": time.monotonic_ns()}
        return Message(room, number, orjson.dumps(content))
