"""What arrived for the rooms of one shard and was not yet delivered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from shardlayer.room import Room
from shardlayer.types import Position, Publication


class Arrived(NamedTuple):
    """Publications that wait for delivery: for any rooms, or for one that was just admitted.

    Attributes:
        publications: In order.
        size: The bytes that they take.
        room: The room that all of them are for, if it was just admitted.
        reset: Where its members are to be told, before anything else, that they are now.
        again: Whether there may be more for that room, which is to be asked for after these.
    """

    publications: Sequence[Publication]
    size: int
    room: Room | None = None
    reset: Position | None = None
    again: bool = False


def size_of(publications: Iterable[Publication]) -> int:
    """Return about how many bytes publications take."""
    return sum([len(publication.data) for publication in publications])


class Loss(NamedTuple):
    """What it means that all that waits is dropped.

    Attributes:
        behind: The rooms that have to ask their histories for it.
        dropped: Publications to rooms without history, which are lost.
        unwanted: Publications to groups without members.
    """

    behind: set[Room]
    dropped: int
    unwanted: int


def loss_of(waiting: Iterable[Arrived], rooms: Mapping[str, Room]) -> Loss:
    """Return what is lost with what waits for delivery, and with what is held for rooms."""
    behind = {room for room in rooms.values() if room.held}
    dropped = unwanted = 0
    for arrived in waiting:
        if arrived.room is not None and arrived.room.position is not None:
            behind.add(arrived.room)
        for publication in arrived.publications:
            room = arrived.room or rooms.get(publication.room)
            if room is None:
                unwanted += 1
            elif publication.offset:
                behind.add(room)
            else:
                dropped += 1
    for room in rooms.values():
        dropped += sum(not publication.offset for publication in room.held or ())
    return Loss(behind, dropped, unwanted)
