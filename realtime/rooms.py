"""Which names a room may have, and lists of rooms given as globs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import translate

MAX_ROOM_NAME = 99  # characters; Channels takes group names shorter than 100

_ROOM = re.compile(rf"[a-zA-Z0-9._-]{{1,{MAX_ROOM_NAME}}}")

ROOM_RULE = (
    f"A room's name has 1 to {MAX_ROOM_NAME} characters: ASCII letters, digits, hyphens, "
    "underscores and periods."
)


def is_room_name(value: object) -> bool:
    """Return whether `value` may name a room: Channels' rule for group names."""
    return isinstance(value, str) and _ROOM.fullmatch(value) is not None


def require_room_name(value: object) -> None:
    """Raise ValueError, which says the rule, if `value` may not name a room."""
    if not is_room_name(value):
        raise ValueError(f"{value!r} can't name a room. {ROOM_RULE}")


class RoomGlobs:
    """A set of rooms given as shell patterns, such as `chat.*`; compiled once.

    Case matters; `*` also matches periods.
    """

    __slots__ = ("_pattern",)

    def __init__(self, globs: Iterable[str]) -> None:
        self._pattern = re.compile("|".join(map(translate, globs)) or r"(?!)")

    def __contains__(self, room: str) -> bool:
        return self._pattern.match(room) is not None
