"""Publishing records to the layer, past rooms that can't be published to.

A room's keys in Redis may have values that the layer can't use and may not remove, for example
where an ACL forbids UNLINK. Waiting does not help, and the records of other rooms must not wait for
it. So a record for such a room is handed to `on_unpublishable`, and those behind it go on.

Each record is still published at most once, and never lost. What its mark says is published is not
handed over. Nothing later of its partition is published to its shard before `on_unpublishable` has
returned: a mark that is ahead of a record would hide that the record is missing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial
from typing import Any

from realtime.tracing.record_traces import publishing_records
from shardlayer import Backoff, Mark, ScriptFailed, ShardedChannelLayer

CALL_BYTES = 4 * 1024 * 1024  # of publications that are handed to the layer at a time


RoutedRecord = tuple[str, bytes, Mark, Any]
"""A record on its way to one room, or to everybody: the room, the payload, the mark by which the
layer knows what it has, and the record as it was read. Plain, since one is made for each record."""

Unpublishable = Callable[[Any, ScriptFailed], Awaitable[None]]
"""Keeps a record that can't be published, and says why; returns when it is kept."""


class RecordPublisher:
    """Publishes records in order, each once, and hands over those whose room can't take them.

    Args:
        layer: Where records are published.
        on_unpublishable: What it raises ends the call, which may be repeated.
        began: When a record began its way, in seconds since 1970; 0 or less: unknown.
    """

    def __init__(
        self,
        layer: ShardedChannelLayer,
        on_unpublishable: Unpublishable,
        began: Callable[[Any], float] = lambda record: 0.0,
    ) -> None:
        self._layer = layer
        self._began = began
        self._on_unpublishable = on_unpublishable

    async def publish(self, items: Sequence[RoutedRecord]) -> None:
        """Publish items of one way; return when all are acknowledged or handed over.

        Raises:
            ShardUnavailable: The same items may be given again.
        """
        shard_of = self._layer.shard_of
        by_shard: dict[int, list[RoutedRecord]] = {}
        try:
            await self._publish_calls(items)
        except ScriptFailed:
            # One shard's fault is not to be looked for among the rooms of all.
            for item in items:
                by_shard.setdefault(shard_of(item[0]), []).append(item)
        for of_shard in by_shard.values():
            await self._publish_of_shard(of_shard)

    async def _publish_calls(self, items: Sequence[RoutedRecord]) -> None:
        begin = 0
        while begin < len(items):
            end = _end_of_call(items, begin, ())
            await self._publish_together(items[begin:end])
            begin = end

    async def _publish_of_shard(self, items: Sequence[RoutedRecord]) -> None:
        alone: set[str] = set()  # rooms whose publishing failed: their records go one by one
        begin = 0
        while begin < len(items):
            end = _end_of_call(items, begin, alone)
            if items[begin][0] in alone:
                await self._publish_alone(items[begin])
            else:
                try:
                    await self._publish_together(items[begin:end])
                except ScriptFailed as error:
                    rooms = {room for room, *_ in items[begin:end]}
                    alone |= rooms.intersection(error.names) or rooms
                    continue
            begin = end

    async def announce(self, items: Sequence[RoutedRecord]) -> None:
        """Announce items; return when all are acknowledged or handed over. Raises likewise."""
        for item in items:
            _, data, mark, _ = item
            await self._insist(item, partial(self._layer.announce, data, mark=mark))

    async def _publish_alone(self, item: RoutedRecord) -> None:
        shard = self._layer.shard_of(item[0])
        await self._insist(item, partial(self._publish_together, [item]), shard)

    async def _publish_together(self, items: Sequence[RoutedRecord]) -> None:
        began = self._began
        times = [time for item in items if (time := began(item[3])) > 0]
        with publishing_records((room, record) for room, _, _, record in items) as traces:
            await self._layer.publish_marked(
                [item[:3] for item in items], since=min(times, default=0.0), traces=traces
            )

    async def _insist(
        self, item: RoutedRecord, send: Callable[[], Awaitable[object]], shard: int | None = None
    ) -> None:
        _, _, mark, record = item
        backoff = Backoff()
        while True:
            try:
                await send()
            except ScriptFailed as error:
                if len(error.names) > 1:  # it left with others, and may have failed for them
                    await asyncio.sleep(backoff.failed())
                    continue
                if not await self._is_published(mark, shard):
                    await self._on_unpublishable(record, error)
            return

    async def _is_published(self, mark: Mark, shard: int | None) -> bool:
        """Tell whether it was published before its room failed: a crash had it read again, say."""
        try:
            last = (await self._layer.marks([mark.source], shard=shard))[mark.source]
        except ScriptFailed:  # the marks themselves can't be read
            return False
        return last is not None and (last.offset, last.index) >= (mark.offset, mark.index)


def _end_of_call(items: Sequence[RoutedRecord], begin: int, alone: Collection[str]) -> int:
    """Return the end of what is published with the first item: its copies take little memory."""
    if items[begin][0] in alone:
        return begin + 1
    size = 0
    for index in range(begin, len(items)):
        room, data, _, _ = items[index]
        size += len(data)
        if index > begin and (size > CALL_BYTES or room in alone):
            return index
    return len(items)
