"""Who in one node hears announcements: every client that asked to, whatever rooms it is in."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence

from shardlayer.fanout import fan_out
from shardlayer.frames import Broadcast
from shardlayer.pushes import encode_announcement
from shardlayer.tasks import Tasks
from shardlayer.types import Sink

logger = logging.getLogger("shardlayer.audience")


class Audience:
    """The sinks of one node that are told of announcements. Not thread-safe.

    Announcements are written in the order in which they arrived, `slice_size` sinks at a time;
    between two slices the event loop gets its turn.

    Attributes:
        told: Announcements that arrived.
        failed: Sinks removed because writing to them raised.
    """

    def __init__(self, *, slice_size: int) -> None:
        self.told = 0
        self.failed = 0
        self._slice_size = slice_size
        self._sinks: dict[Sink, None] = {}
        self._waiting: deque[Broadcast] = deque()
        self._tasks = Tasks()
        self._telling: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        """Return how many sinks there are."""
        return len(self._sinks)

    def attend(self, sink: Sink) -> None:
        """Have a sink told from now on. O(1), and again is no error."""
        self._sinks[sink] = None

    def depart(self, sink: Sink) -> None:
        """Have a sink told no more. O(1), and again is no error."""
        self._sinks.pop(sink, None)

    def tell(self, data: bytes) -> None:
        """Have an announcement, JSON text in UTF-8, written to all sinks."""
        self.told += 1
        if not self._sinks:
            return
        self._waiting.append(Broadcast([encode_announcement(data)]))
        if self._telling is None:
            self._telling = self._tasks.start(self._tell_all(), "announcements")

    async def aclose(self) -> None:
        """Stop telling. The sinks are not told."""
        await self._tasks.aclose()

    async def _tell_all(self) -> None:
        try:
            while self._waiting:
                broadcast = self._waiting.popleft()
                sinks = list(self._sinks)
                for start in range(0, len(sinks), self._slice_size):
                    # Whoever departed since the last slice is told nothing more.
                    present = [
                        sink
                        for sink in sinks[start : start + self._slice_size]
                        if sink in self._sinks
                    ]
                    self._write(present, broadcast)
                    await asyncio.sleep(0)
        finally:
            self._telling = None

    def _write(self, sinks: Sequence[Sink], broadcast: Broadcast) -> None:
        for sink, error in fan_out(sinks, broadcast):
            self.failed += 1
            self.depart(sink)
            logger.error(
                "A sink can't be written to and hears no more announcements", exc_info=error
            )
