"""What arrived for the rooms of one shard and was not yet delivered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from shardlayer.core.client_names import parted
from shardlayer.core.types import Position, Publication
from shardlayer.delivery.room import LocalRoom

Trace = tuple[int, bytes]
"""A publication's index among those that arrived together, and the traceparent it came with."""


class Arrived(NamedTuple):
    """Publications that wait for delivery: for any rooms, or the answer for one.

    Attributes:
        publications: In order.
        size: The bytes that they take.
        room: The room whose shard answered; None for what was heard.
        reset: Where its members are to be told, before anything else, that they are now.
        start: The offset that the answer begins behind. It may be ahead of the members without
            anything between: where a server may have lost something the count leaps.
        at: When it was heard, as `time.perf_counter` tells; 0 for an answer.
        since: When the oldest began its way, in seconds since 1970; 0 if unknown.
        traces: Of those that have one.
    """

    publications: Sequence[Publication]
    size: int
    room: LocalRoom | None = None
    reset: Position | None = None
    start: int = 0
    at: float = 0.0
    since: float = 0.0
    traces: Sequence[Trace] = ()


def told_apart(publication: Publication) -> Publication:
    """Return a publication whose room and excluded client are told apart, as it was heard or not.

    What is heard comes with both in one name. Looking at each name would slow all publications
    down, so it is done only for a name that is no known room.
    """
    room, client = parted(publication.room)
    return publication._replace(room=room, exclude=client) if client else publication


def size_of(publications: Iterable[Publication]) -> int:
    """Return about how many bytes publications take."""
    return sum([len(publication.data) for publication in publications])


class Loss(NamedTuple):
    """What it means that all that waits is dropped.

    Attributes:
        behind: The rooms that have to ask their histories for it.
        unanswered: The rooms whose answers are dropped.
        dropped: Publications without history, which are lost.
        unwanted: Publications to groups without members.
    """

    behind: set[LocalRoom]
    unanswered: list[LocalRoom]
    dropped: int
    unwanted: int


def loss_of(waiting: Iterable[Arrived], rooms: Mapping[str, LocalRoom]) -> Loss:
    """Return what is lost with what waits for delivery, and with what is held for rooms."""
    behind: set[LocalRoom] = set()
    unanswered: list[LocalRoom] = []
    dropped = unwanted = 0
    for arrived in waiting:
        if arrived.room is not None:
            unanswered.append(arrived.room)
            continue  # an answer is asked for again, and its publications with it
        for publication in arrived.publications:
            room = rooms.get(told_apart(publication).room)
            if room is None:
                unwanted += 1
            elif publication.offset:
                behind.add(room)
            else:
                dropped += 1
    for room in rooms.values():
        for publication in room.held:
            if publication.offset:
                behind.add(room)
            else:
                dropped += 1
    return Loss(behind, unanswered, dropped, unwanted)
