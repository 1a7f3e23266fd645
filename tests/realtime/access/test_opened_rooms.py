"""Which rooms tokens have opened to a connection, and for how long that is remembered."""

from __future__ import annotations

from realtime.access.opened_rooms import OpenedRooms

MOST = 3  # rooms


def test_oldest_of_the_others_go() -> None:
    """Whatever the client is in stays known; the rest has a bound."""
    members = {"a", "b"}
    opened = OpenedRooms(members, MOST)
    opened.open(["a", "b", *(f"other.{number}" for number in range(9))], 60)
    assert opened.was_opened("a")
    assert opened.is_open("b")
    assert [opened.was_opened(f"other.{number}") for number in range(9)] == [False] * 6 + [True] * 3
    members.clear()
    opened.open(["c"], 60)
    assert opened.is_open("c")
    assert sum(opened.was_opened(room) for room in ("a", "b", "c", "other.8", "other.7")) == MOST


def test_time_ends() -> None:
    """Then a room is not open any more, but it was."""
    opened = OpenedRooms((), MOST)
    opened.open(["a"], 1e-9)
    opened.open(["b"], 0)
    assert not opened.is_open("a")
    assert opened.was_opened("a")
    assert not opened.was_opened("b")
    opened.close("a")
    opened.close("never")
    assert not opened.was_opened("a")


def test_what_is_over_says_nothing_of_who_comes_in_later() -> None:
    """It was another membership that began by it; what is still open lets in again."""
    opened = OpenedRooms((), MOST)
    opened.open(["over"], 1e-9)
    opened.open(["open"], 60)
    for room in ("over", "open", "never"):
        opened.enter(room)
    assert [opened.was_opened(room) for room in ("over", "open", "never")] == [False, True, False]


def test_first_time_again() -> None:
    """A room that is opened again counts as new."""
    opened = OpenedRooms((), MOST)
    opened.open(["a", "b", "c", "a", "d"], 60)
    assert [room for room in "abcd" if opened.is_open(room)] == ["a", "c", "d"]
