"""Rooms that tokens, or a note, have opened to one connection."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable


class OpenedRooms:
    """Rooms that are open for a time. Of a room that the client is in, it stays known.

    Args:
        members: The rooms that the client is in, as they are at any time.
        most: How many other rooms are remembered, beside as many as the client is in; when there
            are more, those go that were opened first.
    """

    __slots__ = ("_members", "_most", "_until")

    def __init__(self, members: Collection[str], most: int) -> None:
        self._members = members
        self._most = most
        self._until: dict[str, float] = {}  # by room, in seconds that never go back

    def open(self, rooms: Iterable[str], seconds: float) -> None:
        """Open rooms for some seconds from now; 0: not at all."""
        if seconds <= 0:
            return
        until = time.monotonic() + seconds
        for room in rooms:
            self._until.pop(room, None)  # it stands at the end now
            while len(self._until) >= self._most + len(self._members):
                self._drop_first()
            self._until[room] = until

    def is_open(self, room: str) -> bool:
        """Return whether a room is open now."""
        return time.monotonic() < self._until.get(room, 0.0)

    def was_opened(self, room: str) -> bool:
        """Return whether a room was opened, even if its time is over."""
        return room in self._until

    def enter(self, room: str) -> None:
        """Note that the client comes into a room: what is over by now has not let it in."""
        if not self.is_open(room):
            self.close(room)

    def close(self, room: str) -> None:
        """Let a room be as if it was never opened."""
        self._until.pop(room, None)

    def _drop_first(self) -> None:
        """Forget the room that was opened first of those that the client is not in."""
        for _ in range(len(self._until)):
            room = next(iter(self._until))
            until = self._until.pop(room)
            if room not in self._members:
                return
            self._until[room] = until  # at the end: the next look does not begin with it
