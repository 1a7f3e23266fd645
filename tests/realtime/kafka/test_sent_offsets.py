"""Which letters were sent again."""

from __future__ import annotations

import pytest

from realtime.kafka.letters.sent_offsets import MAX_TEXT, CannotNote, SentOffsets


def test_sent_in_order_needs_no_text() -> None:
    """What is sent from the start on is one offset."""
    sent = SentOffsets().plus([0, 1, 2])
    assert (sent.below, sent.beyond, sent.text) == (3, (), "")


def test_sent_one_by_one_is_kept_beside_the_offset() -> None:
    """What was sent out of order stands in the text, and comes back from it."""
    sent = SentOffsets(below=10).plus([14, 12, 15, 16, 30])
    assert sent.beyond == (range(12, 13), range(14, 17), range(30, 31))
    assert sent.text == "sent 2 1x3 13"
    assert SentOffsets.of(10, sent.text) == sent
    assert [offset for offset in range(9, 32) if offset in sent] == [9, 12, 14, 15, 16, 30]
    assert sent.end == 31


def test_gaps_that_close_move_the_offset() -> None:
    """What joins those below is counted with them."""
    sent = SentOffsets(below=10).plus([11, 12, 20]).plus([10])
    assert (sent.below, sent.beyond) == (13, (range(20, 21),))


def test_what_the_log_has_lost_needs_no_note() -> None:
    """A log that begins later takes its first letters along, and what was sent of them."""
    sent = SentOffsets(below=10).plus([12, 14, 20])
    assert sent.since(5) == sent
    assert sent.since(13) == SentOffsets(below=13).plus([14, 20])
    assert sent.since(12) == SentOffsets(below=13).plus([14, 20])


def test_counting() -> None:
    """It says how many of some offsets were not sent."""
    sent = SentOffsets(below=10).plus([12, 14, 15])
    assert sent.waiting(range(20)) == 7
    assert sent.waiting(range(8, 15)) == 3
    assert sent.waiting(range(15, 15)) == 0


@pytest.mark.parametrize("text", ["", "paused by x", "sent x", "sent 1 -2", "sent 1x2x3"])
def test_text_of_somebody_else_says_nothing(text: str) -> None:
    """Only the offset counts then; no offset is none."""
    assert SentOffsets.of(7, text) == SentOffsets(below=7)
    assert SentOffsets.of(-1, text) == SentOffsets()


def test_text_is_bounded() -> None:
    """More scattered letters than Kafka notes are refused, not forgotten."""
    sent = SentOffsets().plus(range(1, MAX_TEXT + 2, 2))
    with pytest.raises(CannotNote, match="send all"):
        _ = sent.text
