"""What arrived for the rooms of one shard and was not yet delivered."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
