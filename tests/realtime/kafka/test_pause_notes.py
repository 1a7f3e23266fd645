"""What stands beside the offsets of partitions that are paused."""

from __future__ import annotations

from aiokafka import TopicPartition

from realtime.kafka.publishing.beginning_notes import beginning_note, counts_in
from realtime.kafka.publishing.partitions import PartitionWork
from realtime.kafka.publishing.pause_notes import MAX_TEXT, PauseNotes, is_paused_by

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


def test_pause_leaves_what_the_group_began_with() -> None:
    """Both are told, and each is read by itself."""
    work = {FIRST: PartitionWork(FIRST)}
    work[FIRST].take(end=8, records=1, size=1, rooms=["a"])
    notes = PauseNotes(lambda: "member-1")
    begun = beginning_note(8)
    assert notes.text(FIRST, beside=begun) == begun
    list(notes.changed({FIRST}, work))
    text = notes.text(FIRST, beside=begun)
    assert text != begun
    assert is_paused_by(text, "member-1")
    assert not is_paused_by(text, "member-2")
    assert not is_paused_by(begun, "member-1")
    assert counts_in({FIRST: text, SECOND: notes.text(FIRST)}) == {"events": 8}


def test_text_that_a_broker_would_refuse_tells_no_pause() -> None:
    """What the group began with is told all the same."""
    begun = beginning_note(8)
    work = {FIRST: PartitionWork(FIRST)}
    work[FIRST].take(end=8, records=1, size=1, rooms=["a"])
    member = "\u00e4" * ((MAX_TEXT - len("paused by ")) // 2)
    notes = PauseNotes(lambda: member)
    list(notes.changed({FIRST}, work))
    assert len(notes.text(FIRST).encode()) == MAX_TEXT
    assert notes.text(FIRST, beside=begun) == begun


def test_smallest_count_is_what_the_group_began_with() -> None:
    """Other texts, and those of other topics, tell nothing of a topic."""
    other = TopicPartition("others", 0)
    texts = {FIRST: beginning_note(10), SECOND: beginning_note(8), other: "paused by begun of 3"}
    assert counts_in(texts) == {"events": 8}
    assert counts_in({other: "begun of 3 partitionss", FIRST: ""}) == {}
