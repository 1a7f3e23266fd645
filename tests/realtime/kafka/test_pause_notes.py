"""What stands beside the offsets of partitions that are paused."""

from __future__ import annotations

from aiokafka import TopicPartition

from realtime.kafka.publishing.partitions import PartitionWork
from realtime.kafka.publishing.pause_notes import PauseNotes, is_paused_by

FIRST, SECOND = TopicPartition("events", 0), TopicPartition("events", 1)


def test_only_what_has_begun_is_noted() -> None:
    """What is committed of another says from where it may begin, and stays as it is."""
    work = {partition: PartitionWork(partition) for partition in (FIRST, SECOND)}
    work[FIRST].begin = 7
    work[FIRST].take(end=8, records=1, size=1, rooms=["a"])
    work[SECOND].begin = 0  # seen before its records, for which it is held
    notes = PauseNotes(lambda: "member-1")
    assert list(notes.changed({FIRST, SECOND}, work)) == [work[FIRST]]
    assert is_paused_by(notes.text(FIRST), "member-1")
    assert not is_paused_by(notes.text(FIRST), "member-2")
    assert notes.text(SECOND) == ""

    work[SECOND].take(end=1, records=1, size=1, rooms=["a"])
    assert list(notes.changed({SECOND}, work)) == [work[FIRST], work[SECOND]]
    assert notes.text(FIRST) == ""
    assert list(notes.changed({SECOND}, work)) == []
    notes.forget()
    assert notes.text(SECOND) == ""
