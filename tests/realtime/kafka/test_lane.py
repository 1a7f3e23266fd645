"""What of a partition may be committed."""

from __future__ import annotations

from aiokafka import TopicPartition

from realtime.kafka.lane import WINDOW_BYTES, WINDOW_RECORDS, Lane, Slice


def lane() -> Lane:
    """Return a new one."""
    return Lane(TopicPartition("events", 0))


def take(lane: Lane, end: int, *, records: int = 1, size: int = 1) -> Slice:
    """Begin a slice that has one parcel."""
    taken = lane.take(end=end, records=records, size=size, rooms=[])
    taken.open_parcels = 1
    return taken


def test_slices_that_end_in_order_are_committed_one_by_one() -> None:
    """Each that is delivered moves the offset on."""
    partition = lane()
    for end in (3, 5):
        taken = take(partition, end)
        taken.open_parcels = 0
        partition.advance()
        assert partition.done == end
    assert partition.is_idle


def test_nothing_is_committed_past_what_waits() -> None:
    """A later slice that was faster is committed with the one before it."""
    partition = lane()
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
        partition = lane()
        room = [partition.has_room]
        taken = take(partition, 7, records=records, size=size)
        room.append(partition.has_room)
        taken.open_parcels = 0
        partition.advance()
        room.append(partition.has_room)
        assert room == [True, False, True]
