"""What goes to one shard, in order, each entry once."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from realtime.models import OutboxEntry
from realtime.record_publisher import RecordPublisher, RoutedRecord
from shardlayer import Backoff, Mark, ScriptFailed, ShardedChannelLayer, ShardUnavailable, Tasks


class Lane:
    """The entries for one shard of a layer. What fails is tried again, before anything later.

    Args:
        layer: The layer.
        source: Names the outbox in marks.
        is_open: Whether it publishes now, or first when it is opened.
        on_unpublishable: Keeps an entry that its room can't take, and returns when it is kept.
        on_done: Called with entries that were published or kept.
        tasks: Hold its task.
    """

    def __init__(
        self,
        layer: ShardedChannelLayer,
        *,
        source: str,
        is_open: bool,
        on_unpublishable: Callable[[OutboxEntry, ScriptFailed], Awaitable[None]],
        on_done: Callable[[Sequence[OutboxEntry]], None],
        tasks: Tasks,
    ) -> None:
        self._entries: deque[OutboxEntry] = deque()
        self._publisher = RecordPublisher(
            layer, on_unpublishable, lambda entry: entry.created_at.timestamp()
        )
        self._source = source
        self._is_open = is_open
        self._is_failing = False
        self._on_done = on_done
        self._tasks = tasks
        self._task: asyncio.Task[None] | None = None
        self._backoff = Backoff()

    @property
    def is_publishing(self) -> bool:
        """Whether entries are on their way to a shard that answered when it was tried last."""
        return self._task is not None and not self._is_failing

    def put(self, entry: OutboxEntry) -> None:
        """Add an entry behind the others."""
        self._entries.append(entry)
        self._begin()

    def open(self) -> None:
        """Publish what it has, and what comes."""
        self._is_open = True
        self._begin()

    async def aclose(self) -> None:
        """Stop at once, whatever waits."""
        self._entries.clear()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def _begin(self) -> None:
        if self._is_open and self._entries and self._task is None:
            self._task = self._tasks.supervise(self._publish_all, "outbox: publish")

    async def _publish_all(self) -> None:
        while self._entries:
            taken = list(self._entries)
            try:
                await self._publisher.publish([self._routed(entry) for entry in taken])
            except ShardUnavailable:
                self._is_failing = True
                await asyncio.sleep(self._backoff.failed())
                continue
            self._is_failing = False
            self._backoff.reset()
            for _ in taken:
                self._entries.popleft()
            self._on_done(taken)
        self._task = None

    def _routed(self, entry: OutboxEntry) -> RoutedRecord:
        if entry.batch is None:
            raise ValueError(f"Outbox entry {entry} was not taken.")
        return entry.room, entry.data.encode(), Mark(self._source, entry.batch, entry.pk), entry
