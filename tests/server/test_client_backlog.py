"""The queue of bytes of a slow client."""

from __future__ import annotations

from shardlayer.server.client_backlog import CHUNK_SIZE, Backlog


def test_small_entries_are_joined() -> None:
    """One chunk has as many entries as fit, in order."""
    backlog = Backlog()
    for entry in (b"a", b"b", memoryview(b"xxc")[2:]):
        backlog.append(entry)
    assert backlog.size == 3
    assert backlog.take() == b"abc"


def test_entries_are_never_split() -> None:
    """A chunk ends where an entry ends, even if that makes it small or large."""
    backlog = Backlog()
    large = b"x" * (CHUNK_SIZE + 1)
    for entry in (b"a", large, b"b"):
        backlog.append(entry)
    assert [backlog.take(), backlog.take(), backlog.take(), backlog.take()] == [
        b"a",
        large,
        b"b",
        b"",
    ]


def test_a_single_entry_is_not_copied() -> None:
    """A large broadcast is passed on as the object that all clients share."""
    backlog = Backlog()
    shared = b"x" * CHUNK_SIZE
    backlog.append(shared)
    assert backlog.take() is shared


def test_size_counts_the_chunk_in_the_transport() -> None:
    """What was taken counts until the next is asked for."""
    backlog = Backlog()
    backlog.append(b"abc")
    backlog.take()
    assert backlog.size == 3
    backlog.append(b"de")
    assert backlog.size == 5
    assert backlog.take() == b"de"
    assert backlog.size == 2
    assert backlog.take() == b""
    assert backlog.size == 0


def test_drop_keeps_what_was_taken() -> None:
    """A close frame may jump the queue, but not the chunk that is under way."""
    backlog = Backlog()
    backlog.append(b"x" * CHUNK_SIZE)
    backlog.append(b"dropped")
    backlog.take()
    backlog.drop()
    backlog.append(b"close")
    assert backlog.size == CHUNK_SIZE + 5
    assert backlog.take() == b"close"
