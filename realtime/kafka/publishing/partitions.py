"""What one partition has under way: its records taken, and which of them are delivered.

A partition's records are taken in slices, in order. The parcels of a slice go to several
destinations, each of which is done in its own time; so slices may end out of order. What may be
committed is the end of the last slice before which nothing is left.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import TopicPartition

WINDOW_RECORDS = 1_000  # of a partition that are taken and not delivered, past which it waits
WINDOW_BYTES = 2 * 1024 * 1024
FETCH_BYTES = 8 * 1024 * 1024  # of one fetch that are taken; the rest is fetched again


@dataclass(slots=True, kw_only=True, eq=False)
class Slice:
    """Records of one partition that were taken together.

    Attributes:
        work: Whose they are.
        end: The offset after the last one.
        records: How many.
        size: Bytes of their payloads.
        rooms: Where they go, for the figures.
        oldest: The timestamp of the first, in ms since 1970; 0 if it has none.
        open_parcels: How many of its parcels are not delivered.
    """

    work: PartitionWork
    end: int
    records: int
    size: int
    rooms: Sequence[str]
    oldest: int = 0
    open_parcels: int = 0


class PartitionWork:
    """A partition that this consumer has been assigned.

    Attributes:
        partition: Which.
        source: Its name in marks.
        end: The offset after the last record taken; None before the first.
        begin: The first offset to be read; None before it is known.
        done: The offset that may be committed; None if there is nothing new.
        dropped: Whether the partition is somebody else's now: what is left of it is not sent.
    """

    __slots__ = (
        "_records",
        "_size",
        "_slices",
        "begin",
        "done",
        "dropped",
        "end",
        "partition",
        "source",
    )

    def __init__(self, partition: TopicPartition) -> None:
        self.partition = partition
        self.source = source_of(partition)  # until the topic's id is known
        self.end: int | None = None
        self.begin: int | None = None
        self.done: int | None = None
        self.dropped = False
        self._slices: deque[Slice] = deque()
        self._records = 0
        self._size = 0

    @property
    def has_room(self) -> bool:
        """Whether more may be taken; what is taken then may pass the window by one fetch."""
        return self._records < WINDOW_RECORDS and self._size < WINDOW_BYTES

    @property
    def is_idle(self) -> bool:
        """Whether all that was taken is delivered."""
        return not self._slices

    def take(
        self, *, end: int, records: int, size: int, rooms: Sequence[str], oldest: int = 0
    ) -> Slice:
        """Begin a slice behind the ones before it; close it when all its parcels are delivered."""
        taken = Slice(work=self, end=end, records=records, size=size, rooms=rooms, oldest=oldest)
        self._slices.append(taken)
        self._records += records
        self._size += size
        self.end = end
        return taken

    def advance(self) -> None:
        """Let go of the slices that are delivered."""
        while self._slices and not self._slices[0].open_parcels:
            first = self._slices.popleft()
            self._records -= first.records
            self._size -= first.size
            self.done = first.end

    def pass_over(self, position: int) -> bool:
        """Note where its reader is, while no record is under way or on its way here.

        Between its last record and there lies none for us: marks of transactions, or what was
        aborted or compacted away. Returns whether there is more to commit.
        """
        known = self.position
        if self._slices or known is None or position <= known:
            return False
        self.done = position
        return True

    @property
    def position(self) -> int | None:
        """The offset up to which all is delivered; None before it is known."""
        return self.begin if self.done is None else self.done

    def lag(self, log_end: int | None) -> int:
        """Return how many records are not delivered, if the partition ends there."""
        done = self.position
        return 0 if log_end is None or done is None else max(0, log_end - done)


def fitting(records: Sequence[Any]) -> int:
    """Return how many of the records of a fetch may be taken at a time; at least one."""
    size = 0
    for index, record in enumerate(records):
        size += len(record.value or b"")
        if size > FETCH_BYTES and index:
            return index
    return len(records)


def source_of(partition: TopicPartition, topic_id: str = "") -> str:
    """Return the name that a partition has in marks: `topic/number@id`, without an id unmarked.

    A topic that is made again has another id, so what was published of the one before is no mark
    of it. The first 12 digits tell any two of them apart.
    """
    name = f"{partition.topic}/{partition.partition}"
    return f"{name}@{topic_id[:12]}" if topic_id else name
