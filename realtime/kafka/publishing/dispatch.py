"""From a consumer's records to all their destinations, and back: what may be committed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Any, Protocol

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from realtime.kafka.advice import advice_on, reason_of
from realtime.kafka.deadletters import DeadLetters, Letter
from realtime.kafka.publishing.deliveries import DeliveryQueue, Item, Parcel
from realtime.kafka.publishing.marks import announcements_of
from realtime.kafka.publishing.partitions import PartitionWork, Slice
from realtime.kafka.reporting import SkippedRecords
from realtime.kafka.routing.bad_records import BadRecord, payload_of
from realtime.kafka.routing.header_rules import EVERYBODY
from realtime.kafka.routing.route_calls import Answer
from realtime.outage import Outage
from realtime.record_publisher import RecordPublisher, RoutedRecord
from shardlayer import Mark, ScriptFailed, ShardedChannelLayer, ShardUnavailable

logger = logging.getLogger(__name__)

# Made for each record: without the function that calling the class goes through.
_as_mark: Callable[[tuple[str, int, int]], Mark] = partial(tuple.__new__, Mark)


class Dispatch:
    """One queue on each way to shards, one for announcements, one for dead letters.

    A way is what one call can publish to (`ShardedChannelLayer.way_of`): the shards of a server.
    So what a turn fetched leaves with as few calls as there are servers.

    Args:
        layer: Where records are published.
        limit: Bytes of a payload, at most.
        letters: Where bad records are kept; None: they are skipped.
        skipped: Counts bad records.
        outage: Told when a shard does not answer, and when all do.
        on_done: Called with each slice that is delivered, after its work moved on.
        on_change: Called when a queue fails, when it delivers again, and when partitions move on.
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
        self._publisher = RecordPublisher(layer, self._unpublishable, _began)
        self._limit = limit
        self._letters = letters
        self._skipped = skipped
        self._on_done = on_done
        self._on_change = on_change
        self._on_error = on_error
        self._redis = outage
        self._kafka = Outage("The topic of dead letters", logger)
        self._way_of = [layer.way_of(shard) for shard in range(layer.options.shards)]
        self._ways: dict[int, DeliveryQueue[RoutedRecord]] = {}
        self._announcements = self._queue(self._publisher.announce, name="announce records")
        self._dead = self._queue(self._bury, name="write dead letters")

    def take(self, work: PartitionWork, records: Sequence[Any], answers: Sequence[Answer]) -> None:
        """Send a partition's next records on their ways.

        Args:
            work: Whose records.
            records: ReadRecord or UnreadRecord, in order.
            answers: The rooms of each, or why it has none.
        """
        ways: dict[int, list[RoutedRecord]] = {}
        announcements: list[RoutedRecord] = []
        dead: list[Letter] = []
        size = 0
        shard_of, way_of = self._layer.shard_of, self._way_of
        for record, rooms in zip(records, answers, strict=True):
            try:
                if isinstance(rooms, BadRecord):
                    raise rooms
                data = payload_of(record, limit=self._limit)
            except BadRecord as error:
                if (letter := self._skip(record, error)) is not None:
                    dead.append(letter)
                    size += len(record.value or b"")
                continue
            size += len(data)
            for index, room in enumerate(rooms):
                if room == EVERYBODY:
                    mark = Mark(announcements_of(work.source), record.offset, index)
                    announcements.append((room, data, mark, record))
                else:
                    mark = _as_mark((work.source, record.offset, index))
                    ways.setdefault(way_of[shard_of(room)], []).append((room, data, mark, record))
        taken = work.take(
            end=records[-1].offset + 1,
            records=len(records),
            size=size,
            rooms=[item[0] for items in ways.values() for item in items],
            oldest=getattr(records[0], "timestamp", 0),  # what can't be read has none
        )
        self._send(taken, ways, announcements, dead)

    def blocked(self) -> set[TopicPartition]:
        """Return the partitions that wait for a destination which does not answer."""
        failing = [queue for queue in self._queues() if queue.error is not None]
        return {partition for queue in failing for partition in queue.partitions()}

    async def aclose(self) -> None:
        """Stop at once, whatever waits."""
        await asyncio.gather(*(queue.aclose() for queue in self._queues()))

    def _send(
        self,
        taken: Slice,
        ways: dict[int, list[RoutedRecord]],
        announcements: list[RoutedRecord],
        dead: list[Letter],
    ) -> None:
        queues: list[tuple[DeliveryQueue[Any], Sequence[Any]]] = [
            (self._way(way), items) for way, items in ways.items()
        ]
        if announcements:
            queues.append((self._announcements, announcements))
        if dead:
            queues.append((self._dead, dead))
        taken.open_parcels = len(queues)
        for queue, items in queues:
            queue.put(Parcel(slice=taken, items=items))
        if not queues:
            self._moved(taken)
        elif any(queue.error is not None for queue, _ in queues):
            self._on_change()

    def _way(self, way: int) -> DeliveryQueue[RoutedRecord]:
        queue = self._ways.get(way)
        if queue is None:
            queue = self._ways[way] = self._queue(
                self._publisher.publish, name=f"publish records from shard {way} on"
            )
        return queue

    def _queue(
        self,
        deliver: Callable[[Sequence[Item]], Awaitable[object]],
        *,
        name: str,
    ) -> DeliveryQueue[Item]:
        return DeliveryQueue(
            deliver,
            retry=(ShardUnavailable, KafkaError),  # Kafka's: of dead letters
            name=name,
            on_done=self._delivered,
            on_change=self._queue_changed,
            on_error=self._on_error,
        )

    def _skip(self, record: Any, error: Exception) -> Letter | None:
        """Count a record that is not published; return its letter, if letters are kept."""
        self._skipped.add(record.topic, record.partition, record.offset, error)
        return None if self._letters is None else Letter.about(record, error)

    async def _unpublishable(self, record: Any, error: ScriptFailed) -> None:
        if (letter := self._skip(record, error)) is not None:
            await self._bury([letter])

    async def _bury(self, letters: Sequence[Letter]) -> None:
        if self._letters is not None:
            await self._letters.write(letters)

    def _delivered(self, parcel: Parcel[Any]) -> None:
        parcel.slice.open_parcels -= 1
        if not parcel.slice.open_parcels:
            self._moved(parcel.slice)

    def _moved(self, taken: Slice) -> None:
        taken.work.advance()
        self._on_done(taken)

    def _queue_changed(self, before: Exception | None) -> None:
        errors = [queue.error for queue in self._queues() if queue.error is not None]
        for outage, kind in ((self._redis, ShardUnavailable), (self._kafka, KafkaError)):
            present = [error for error in errors if isinstance(error, kind)]
            if present:
                outage.failed(reason_of(present[0]), advice=advice_on(present[0]))
            elif isinstance(before, kind):
                outage.over()
        self._on_change()

    def _queues(self) -> Iterable[DeliveryQueue[Any]]:
        yield from self._ways.values()
        yield self._announcements
        yield self._dead


class MakeDispatch(Protocol):
    """Makes a Dispatch for a consumer; its arguments are Dispatch's."""

    def __call__(self, *, outage: Outage, on_done: Any, on_change: Any, on_error: Any) -> Dispatch:
        """Return a new one."""


def _began(record: Any) -> float:
    """Return a record's timestamp in seconds since 1970; it has -1 if its producer told none."""
    return float(record.timestamp) / 1000
