"""Which names a room may have, and lists of rooms given as globs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fnmatch import translate
from functools import lru_cache
from typing import Any, TypeGuard

MAX_ROOM_NAME = 99  # characters; Channels takes group names shorter than 100
MAX_ROOM_TOKEN = 512  # characters of a token that opens a room; a longer one is not looked at
ROOM_END = "~"  # ends a room's name, which has none, where a token follows

CONTROL_ROOM = "realtime-control"
"""Where workers tell each other who was put out. No client gets into it, whatever a rule says."""

REMOVALS_ROOM = "realtime-removals"
"""Where it is remembered who was put out of which room. No client gets into it, whatever a rule
says."""

NODES_ROOM = "realtime-nodes"
"""Where workers are told to drain. No client gets into it, whatever a rule says."""

OWN_ROOMS = frozenset({CONTROL_ROOM, REMOVALS_ROOM, NODES_ROOM})
OWN_ROOM_RULE = "Only the workers themselves publish to their own rooms."

_NAMES = 8_192  # texts of which it is remembered whether they name a room
_ROOM = re.compile(rf"[a-zA-Z0-9._-]{{1,{MAX_ROOM_NAME}}}")

ROOM_RULE = (
    f"A room's name has 1 to {MAX_ROOM_NAME} characters: ASCII letters, digits, hyphens, "
    "underscores and periods."
)


def is_room_name(value: object) -> bool:
    """Return whether `value` may name a room: Channels' rule for group names."""
    # The length first: what is remembered below is chosen by whoever sends it.
    return isinstance(value, str) and len(value) <= MAX_ROOM_NAME and _is_name(value)


@lru_cache(maxsize=_NAMES)
def _is_name(text: str) -> bool:
    return _ROOM.fullmatch(text) is not None


def may_be_rooms(answer: object) -> TypeGuard[Iterable[Any]]:
    """Return whether what a project's function returned may be several rooms: no text, no mapping.

    Each character of a text would be a room.
    """
    return isinstance(answer, Iterable) and not isinstance(
        answer, str | bytes | bytearray | Mapping
    )


def room_name_problem(value: object) -> str:
    """Return what keeps `value` from naming a room, as the end of a sentence; empty: nothing."""
    if is_room_name(value):
        return ""
    if not isinstance(value, str):
        return f"it is not a string, but {_KINDS.get(type(value), type(value).__name__)}"
    if not value:
        return "it is empty"
    wrong = next((place for place in enumerate(value) if not _CHARACTER.match(place[1])), None)
    if wrong is not None:
        return f"its character {wrong[0] + 1} is {wrong[1]!r}"
    return f"it has {len(value):,} characters"


_CHARACTER = re.compile(r"[a-zA-Z0-9._-]")
_KINDS = {type(None): "null", bool: "a boolean", int: "a number", float: "a number"} | {
    list: "a list",
    dict: "an object",
}


def require_room_name(value: object) -> None:
    """Raise ValueError, which says the rule, if `value` may not name a room."""
    if not is_room_name(value):
        raise ValueError(f"{value!r} can't name a room. {ROOM_RULE}")


def is_open_room(value: object) -> bool:
    """Return whether `value` names a room that a project may publish to."""
    return is_room_name(value) and value not in OWN_ROOMS


def require_open_room(value: object) -> None:
    """Raise ValueError, which says the rule, if a project may not publish to `value`.

    Else whoever names the room in which a view, a service or a record publishes, a client perhaps,
    could sign others out.
    """
    require_room_name(value)
    if value in OWN_ROOMS:
        raise ValueError(f"{value!r} can't be published to. {OWN_ROOM_RULE}")


class RoomGlobs:
    """A set of rooms given as shell patterns, such as `chat.*`; compiled once.

    Case matters; `*` also matches periods.
    """

    __slots__ = ("_pattern",)

    def __init__(self, globs: Iterable[str]) -> None:
        self._pattern = re.compile("|".join(map(translate, globs)) or r"(?!)")

    def __contains__(self, room: str) -> bool:
        return self._pattern.match(room) is not None
