"""Who in one node hears announcements: every client that asked to, whatever rooms it is in."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from time import perf_counter

from shardlayer.aio.tasks import Tasks
from shardlayer.aio.throttled_log import ThrottledLog
from shardlayer.aio.time_slices import TimeSlices
from shardlayer.core.frames import Broadcast
from shardlayer.core.pushes import encode_announcement
from shardlayer.core.types import Sink
from shardlayer.delivery.fanout import fan_out, slices

logger = logging.getLogger(__name__)


class Announcements:
    """The sinks of one node that are told of announcements. Not thread-safe.

    Announcements are written in the order in which they arrived, `slice_size` sinks at a time.
    Between two slices the event loop gets its turn, which deliveries to rooms share. Announcements
    that wait are bounded in bytes: one that comes when there is no room for it is dropped.

    Args:
        slice_size: Sinks that are written to at a time.
        max_backlog: Bytes of announcements that may wait.
        turns: The turns of the event loop.
        tasks: Of the node.

    Attributes:
        told: Announcements that arrived.
        dropped: Those of them that were dropped, since too many waited.
        failed: Sinks removed because writing to them raised.
    """

    def __init__(
        self, *, slice_size: int, max_backlog: int, turns: TimeSlices, tasks: Tasks
    ) -> None:
        self.told = 0
        self.dropped = 0
        self.failed = 0
        self._slice_size = slice_size
        self._max_backlog = max_backlog
        self._turns = turns
        self._sinks: dict[Sink, Sink] = {}
        self._waiting: deque[Broadcast] = deque()
        self._waiting_size = 0  # bytes, with that which is being written
        self._tasks = tasks.branch()
        self._telling: asyncio.Task[None] | None = None
        self._complain = ThrottledLog(logger, logging.WARNING)

    def __len__(self) -> int:
        """Return how many sinks there are."""
        return len(self._sinks)

    def attend(self, sink: Sink) -> None:
        """Have a sink told from now on. O(1), and again is no error."""
        self._sinks[sink] = sink

    def depart(self, sink: Sink) -> None:
        """Have a sink told no more. O(1), and again is no error."""
        self._sinks.pop(sink, None)

    def tell(self, data: bytes) -> None:
        """Have an announcement, JSON text in UTF-8, written to all sinks."""
        self.told += 1
        if not self._sinks:
            return
        if self._waiting_size + len(data) > self._max_backlog:
            self.dropped += 1
            self._complain(
                "An announcement was dropped: those that wait would take more than max_backlog, "
                "%d bytes. %d were dropped so far",
                self._max_backlog,
                self.dropped,
            )
            return
        broadcast = Broadcast([encode_announcement(data)])
        self._waiting.append(broadcast)
        self._waiting_size += len(broadcast.frames)
        if self._telling is None:
            self._telling = self._tasks.spawn(self._tell_all(), "announcements")

    async def aclose(self) -> None:
        """Stop telling. The sinks are not told."""
        await self._tasks.aclose()

    async def _tell_all(self) -> None:
        turns = self._turns
        turns.begin()
        try:
            while self._waiting:
                broadcast = self._waiting.popleft()
                for present in slices(self._sinks, self._slice_size):
                    if perf_counter() >= turns.ends:
                        await turns.wait()
                    self._write(present(), broadcast)
                self._waiting_size -= len(broadcast.frames)
        finally:
            turns.end()
            self._telling = None

    def _write(self, sinks: Sequence[Sink], broadcast: Broadcast) -> None:
        for sink, error in fan_out(sinks, broadcast):
            self.failed += 1
            self.depart(sink)
            logger.error(
                "A client can't be written to and gets no more announcements", exc_info=error
            )
            error.__traceback__ = None  # it knows this frame, which knows it
