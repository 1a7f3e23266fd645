"""What of a partition may be committed."""

from __future__ import annotations

from aiokafka import TopicPartition

from realtime.kafka.publishing.partitions import (
    FETCH_BYTES,
    WINDOW_BYTES,
    WINDOW_RECORDS,
    PartitionWork,
    Slice,
    fitting,
)
from tests.realtime.kafka.records import FakeRecord


def work() -> PartitionWork:
    """Return a new one."""
    return PartitionWork(TopicPartition("events", 0))


def take(work: PartitionWork, end: int, *, records: int = 1, size: int = 1) -> Slice:
    """Begin a slice that has one parcel."""
    taken = work.take(end=end, records=records, size=size, rooms=[])
    taken.open_parcels = 1
    return taken


def test_slices_that_end_in_order_are_committed_one_by_one() -> None:
    """Each that is delivered moves the offset on."""
    partition = work()
    for end in (3, 5):
        taken = take(partition, end)
        taken.open_parcels = 0
        partition.advance()
        assert partition.done == end
    assert partition.is_idle


def test_nothing_is_committed_past_what_waits() -> None:
    """A later slice that was faster is committed with the one before it."""
    partition = work()
    first, second = take(partition, 3), take(partition, 5)
    second.open_parcels = 0
    partition.advance()
    before = partition.done
    first.open_parcels = 0
    partition.advance()
    assert (before, partition.done) == (None, 5)
    assert partition.is_idle


def test_window_bounds_what_is_under_way() -> None:
    """It has room for records and bytes up to a limit, and again when they are delivered."""
    for records, size in ((WINDOW_RECORDS, 1), (1, WINDOW_BYTES)):
        partition = work()
        room = [partition.has_room]
        taken = take(partition, 7, records=records, size=size)
        room.append(partition.has_room)
        taken.open_parcels = 0
        partition.advance()
        room.append(partition.has_room)
        assert room == [True, False, True]


def test_position_passes_over_what_is_nobodys() -> None:
    """It is committed when nothing is under way before it, and counts as no lag."""
    partition = work()
    assert not partition.pass_over(7)  # where it begins is not known
    partition.begin = 7
    passed = [partition.pass_over(position) for position in (7, 8, 8)]
    assert (passed, partition.done) == ([False, True, False], 8)
    taken = take(partition, 12)
    assert not partition.pass_over(13)
    assert partition.lag(13) == 5
    taken.open_parcels = 0
    partition.advance()
    assert partition.lag(13) == 1
    assert partition.pass_over(13)
    assert (partition.done, partition.lag(13), partition.lag(None)) == (13, 0, 0)


def test_what_of_a_fetch_fits() -> None:
    """Large records are taken a few at a time, and one at least."""
    small = FakeRecord(value=b"x" * 100)
    large = FakeRecord(value=b"x" * (FETCH_BYTES // 2))
    huge = FakeRecord(value=b"x" * 2 * FETCH_BYTES)
    assert fitting([small] * 500) == 500
    assert fitting([large] * 5) == 2
    assert fitting([huge, small]) == 1
    assert fitting([FakeRecord(value=None)]) == 1
