"""Names of rooms, and globs of them."""

from __future__ import annotations

import pytest

from realtime.rooms.room_names import RoomGlobs, is_room_name, require_room_name


@pytest.mark.parametrize("name", ["a", "chat.lobby", "A-1_b.", "x" * 99])
def test_good_names(name: str) -> None:
    """Channels' alphabet, up to 99 characters."""
    assert is_room_name(name)


@pytest.mark.parametrize("name", ["", "x" * 100, "a b", "a\n", "ä", "a/b", "a!b", None, 5, b"a"])
def test_bad_names(name: object) -> None:
    """Anything else, a trailing line feed included."""
    assert not is_room_name(name)


def test_bad_names_are_told_the_rule() -> None:
    """The error names the name and the rule."""
    require_room_name("chat.lobby")
    with pytest.raises(ValueError, match=r"'no room' can't name a room. .* 1 to 99 characters"):
        require_room_name("no room")


def test_globs() -> None:
    """A room is in the set when one of the patterns matches all of it, case and all."""
    globs = RoomGlobs(["chat.*", "news"])
    assert "chat.lobby" in globs
    assert "chat." in globs
    assert "news" in globs
    assert "news.x" not in globs
    assert "my.chat.lobby" not in globs
    assert "Chat.lobby" not in globs


def test_no_globs() -> None:
    """Without patterns the set is empty."""
    assert "" not in RoomGlobs([])
    assert "a" not in RoomGlobs(())
