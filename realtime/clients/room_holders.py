"""For whom each room with clients is in this process, and how many rooms are there for one.

A room takes the same memory however many are in it. So it counts once: for whoever came when no
client was in it. It counts for them until the last client has left, whoever that is. Otherwise two
connections could hand each other rooms that count for nobody.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from shardlayer import Tally

Holder = TypeVar("Holder", bound=Hashable)


@dataclass(slots=True)
class _Room(Generic[Holder]):
    """A room with clients: for whom it is here, and how many of them there are."""

    holder: Holder | None
    clients: int = 1


class RoomHolders(Generic[Holder]):
    """The rooms of one process that have clients, each with its holder.

    Args:
        most: Rooms that may be here for one holder; 0: any number.
    """

    def __init__(self, most: int) -> None:
        self._tally: Tally[Holder] = Tally(most)
        self._rooms: dict[str, _Room[Holder]] = {}

    def __len__(self) -> int:
        return len(self._rooms)

    def __contains__(self, room: str) -> bool:
        return room in self._rooms

    def enter(self, room: str, holder: Holder | None) -> bool:
        """Count one more client in a room; say whether there is place.

        There always is in a room that is here already, and for a holder of None: the client counts
        for nobody. Whoever entered calls `leave` once.
        """
        known = self._rooms.get(room)
        if known is not None:
            known.clients += 1
            return True
        if holder is not None and not self._tally.enter(holder):
            return False
        self._rooms[room] = _Room(holder)
        return True

    def leave(self, room: str) -> None:
        """Count one client less in a room."""
        known = self._rooms[room]
        known.clients -= 1
        if not known.clients:
            del self._rooms[room]
            if known.holder is not None:
                self._tally.leave(known.holder)
