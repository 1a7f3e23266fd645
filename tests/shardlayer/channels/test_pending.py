"""The line of what waits for a channel: its places, its capacity, and what is told of it."""

from __future__ import annotations

from shardlayer.channels.pending import LOOK, Held, PendingMessages, Waiting


class Sender:
    """Is told how many group messages a line holds whenever that is due."""

    def __init__(self, capacity: int) -> None:
        self.line = PendingMessages(capacity, self.hear)
        self.told: list[Held] = []

    def hear(self) -> None:
        self.told.append(self.line.tell())


def test_what_was_sent_takes_the_place_of_the_newest_group_message() -> None:
    """The sum is never above the capacity, and what was there before keeps its order."""
    line = PendingMessages(3, lambda: None)
    for message in (b"1", None, b"2"):
        line.append(Waiting(10, message))
    assert not line.has_room(now=0)
    assert not line.make_room(now=0)
    line.append(Waiting(10, None))
    assert [line.pop().message for _ in range(len(line))] == [b"1", None, None]


def test_places_of_what_was_sent_are_never_taken() -> None:
    """Redis bounds them; one that is on top of the capacity is a repeat, which finds nothing."""
    line = PendingMessages(2, lambda: None)
    for _ in range(3):
        assert line.make_room(now=0)
        line.append(Waiting(10, None))
    assert len(line) == 3


def test_nobody_loses_a_place_before_the_queue_was_looked_at() -> None:
    """How many wait in the queue is not known then: some of the places may be repeats."""
    line = PendingMessages(1, lambda: None)
    line.append(LOOK)
    line.append(Waiting(10, b"1"))
    assert line.make_room(now=0)
    assert len(line) == 2


def test_what_has_expired_makes_room() -> None:
    """A line that is full forgets what has waited for too long first."""
    line = PendingMessages(1, lambda: None)
    line.append(Waiting(1, b"old"))
    assert not line.has_room(now=0.5)
    assert line.has_room(now=1)
    line.append(Waiting(2, b"new"))
    assert line.make_room(now=2)
    assert len(line) == 0


def test_group_messages_are_told_in_steps_of_a_tenth() -> None:
    """At every tenth, both ways, at none, and exactly when one was missed."""
    sender = Sender(100)
    for number in range(100):
        sender.line.append(Waiting(number + 1, b""))
    assert [held.messages for held in sender.told] == list(range(10, 101, 10))
    assert sender.told[-1] == Held(100, first=1, last=100)
    sender.told.clear()
    for _ in range(5):
        sender.line.pop()
    for _ in range(5):
        sender.line.append(Waiting(200, None))
    assert sender.told == []
    assert not sender.line.has_room(now=0)
    assert [held.messages for held in sender.told] == [95]
    sender.told.clear()
    sender.line.clear()
    assert sender.told == [Held(0, first=0, last=0)]


def test_reader_who_keeps_up_is_never_told_of() -> None:
    """Messages that come and go below a tenth of the capacity cost nothing."""
    sender = Sender(100)
    for _ in range(1_000):
        for _ in range(9):
            sender.line.append(Waiting(1, b""))
        while sender.line:
            sender.line.pop()
    assert sender.told == []
