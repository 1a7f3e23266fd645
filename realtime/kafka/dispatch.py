"""From a consumer's records to all their destinations, and back: what may be committed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from realtime.kafka.deadletters import DeadLetters
from realtime.kafka.lane import Lane, Slice
from realtime.kafka.letters import Letter
from realtime.kafka.line import Item, Line, Parcel
from realtime.kafka.markers import announcements_of
from realtime.kafka.router import Answer
from realtime.kafka.routing import EVERYBODY, BadRecord, payload_of
from realtime.kafka.skipped import SkippedRecords
from realtime.kafka.source import advice_on, reason_of
from realtime.outage import Outage
from shardlayer import Mark, ShardedChannelLayer, ShardUnavailable

logger = logging.getLogger(__name__)

CALL_BYTES = 4 * 1024 * 1024  # of publications that are handed to the layer at a time

Marked = tuple[str, bytes, Mark]
Announcement = tuple[bytes, Mark]


class Dispatch:
    """One line to each shard, one for announcements, one for dead letters.

    Args:
        layer: Where records are published.
        limit: Bytes of a payload, at most.
        letters: Where bad records are kept; None: they are skipped.
        skipped: Counts bad records.
        outage: Told when a shard does not answer, and when all do.
        on_done: Called with each slice that is delivered, after its lane moved on.
        on_change: Called when a line fails, when it delivers again, and when lanes move on.
        on_error: Called with an error that no waiting mends.
    """

    def __init__(
        self,
        *,
        layer: ShardedChannelLayer,
        limit: int,
        letters: DeadLetters | None,
        skipped: SkippedRecords,
        outage: Outage,
        on_done: Callable[[Slice], None],
        on_change: Callable[[], None],
        on_error: Callable[[BaseException], None],
    ) -> None:
        self._layer = layer
        self._limit = limit
        self._letters = letters
        self._skipped = skipped
        self._on_done = on_done
        self._on_change = on_change
        self._on_error = on_error
        self._redis = outage
        self._kafka = Outage("The topic of dead letters", logger)
        self._shards: dict[int, Line[Marked]] = {}
        self._announcements = self._line(
            self._announce, retry=ShardUnavailable, name="announce records"
        )
        self._dead = self._line(self._bury, retry=KafkaError, name="write dead letters")

    def take(self, lane: Lane, records: Sequence[Any], answers: Sequence[Answer]) -> None:
        """Send a lane's next records on their ways.

        Args:
            lane: Whose records.
            records: ConsumerRecord or UnreadRecord, in order.
            answers: The rooms of each, or why it has none.
        """
        shards: dict[int, list[Marked]] = {}
        announcements: list[Announcement] = []
        dead: list[Letter] = []
        size = 0
        shard_of = self._layer.shard_of
        for record, rooms in zip(records, answers, strict=True):
            try:
                if isinstance(rooms, BadRecord):
                    raise rooms
                data = payload_of(record, limit=self._limit)
            except BadRecord as error:
                self._skipped.add(record.topic, record.partition, record.offset, error)
                if self._letters is not None:
                    dead.append(Letter.about(record, error))
                    size += len(record.value or b"")
                continue
            size += len(data)
            for index, room in enumerate(rooms):
                if room == EVERYBODY:
                    mark = Mark(announcements_of(lane.source), record.offset, index)
                    announcements.append((data, mark))
                else:
                    mark = Mark(lane.source, record.offset, index)
                    shards.setdefault(shard_of(room), []).append((room, data, mark))
        taken = lane.take(
            end=records[-1].offset + 1,
            records=len(records),
            size=size,
            rooms=[room for items in shards.values() for room, _, _ in items],
        )
        self._send(taken, shards, announcements, dead)

    def blocked(self) -> set[TopicPartition]:
        """Return the partitions that wait for a destination which does not answer."""
        failing = [line for line in self._lines() if line.error is not None]
        return {partition for line in failing for partition in line.partitions()}

    async def aclose(self) -> None:
        """Stop at once, whatever waits."""
        await asyncio.gather(*(line.aclose() for line in self._lines()))

    def _send(
        self,
        taken: Slice,
        shards: dict[int, list[Marked]],
        announcements: list[Announcement],
        dead: list[Letter],
    ) -> None:
        ways: list[tuple[Line[Any], Sequence[Any]]] = [
            (self._shard(shard), items) for shard, items in shards.items()
        ]
        if announcements:
            ways.append((self._announcements, announcements))
        if dead:
            ways.append((self._dead, dead))
        taken.open_parcels = len(ways)
        for line, items in ways:
            line.put(Parcel(slice=taken, items=items))
        if not ways:
            self._moved(taken)
        elif any(line.error is not None for line, _ in ways):
            self._on_change()

    def _shard(self, shard: int) -> Line[Marked]:
        line = self._shards.get(shard)
        if line is None:
            line = self._shards[shard] = self._line(
                self._publish,
                retry=ShardUnavailable,
                name=f"publish records to shard {shard}",
            )
        return line

    def _line(
        self,
        deliver: Callable[[Sequence[Item]], Awaitable[object]],
        *,
        retry: type[Exception],
        name: str,
    ) -> Line[Item]:
        return Line(
            deliver,
            retry=retry,
            name=name,
            on_done=self._delivered,
            on_change=self._line_changed,
            on_error=self._on_error,
        )

    async def _publish(self, items: Sequence[Marked]) -> None:
        for part in _parts(items):
            await self._layer.publish_marked(part)

    async def _announce(self, announcements: Sequence[Announcement]) -> None:
        for data, mark in announcements:
            await self._layer.announce(data, mark=mark)

    async def _bury(self, letters: Sequence[Letter]) -> None:
        if self._letters is not None:
            await self._letters.write(letters)

    def _delivered(self, parcel: Parcel[Any]) -> None:
        parcel.slice.open_parcels -= 1
        if not parcel.slice.open_parcels:
            self._moved(parcel.slice)

    def _moved(self, taken: Slice) -> None:
        taken.lane.advance()
        self._on_done(taken)

    def _line_changed(self) -> None:
        _tell(self._redis, [*self._shards.values(), self._announcements])
        _tell(self._kafka, [self._dead])
        self._on_change()

    def _lines(self) -> Iterable[Line[Any]]:
        yield from self._shards.values()
        yield self._announcements
        yield self._dead


def _parts(items: Sequence[Marked]) -> Iterator[Sequence[Marked]]:
    """Yield the items in order, so many at a time that their copies take little memory."""
    begin = size = 0
    for index, (_, data, _) in enumerate(items):
        if size and size + len(data) > CALL_BYTES:
            yield items[begin:index]
            begin, size = index, 0
        size += len(data)
    yield items[begin:]


def _tell(outage: Outage, lines: Iterable[Line[Any]]) -> None:
    error = next((line.error for line in lines if line.error is not None), None)
    if error is None:
        outage.over()
    else:
        outage.failed(reason_of(error), advice=advice_on(error))
