"""One round of a hub's deliveries, and where it leaves the members if an error ends it.

A round moves its rooms on before their members are written. So if it ends in its middle, the
members are not where their rooms say, and nothing would show that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from shardlayer.core.frames import Broadcast
from shardlayer.core.pushes import Reset
from shardlayer.core.types import Position
from shardlayer.delivery.arrivals import Arrived, told_apart
from shardlayer.delivery.room import LocalRoom

Entries = list[tuple[bytes, int]]  # of one room: each push with its offset

NOWHERE = Position(0, "unknown")
"""A position in no epoch of any room: what a shard answers from there is told with a reset."""


class Round(NamedTuple):
    """How far a round of writing is. Made when an error has ended it, to keep others cheap.

    Attributes:
        taken: The last of what it is made of, which may not be collected as a whole.
        collected: What each room's members are written, in this order.
        resets: Where members of a room are told to be, before that.
        written: How many of these rooms all of that was written to.
        last: What was last written to all members of the next one.
    """

    taken: Arrived | None
    collected: Mapping[LocalRoom, Entries]
    resets: Mapping[LocalRoom, Position]
    written: int
    last: Broadcast | None


class Broken(NamedTuple):
    """What it means that a round ended in its middle.

    Attributes:
        behind: Where the members are, of each room that keeps history and has to ask again.
        dropped: Publications without history, which are lost, at least.
    """

    behind: dict[LocalRoom, Position]
    dropped: int


def broken(round: Round, rooms: Mapping[str, LocalRoom]) -> Broken:
    """Return what a round left undone. Some members may have got the message that it ended in."""
    behind: dict[LocalRoom, Position] = {}
    dropped = 0
    for number, (room, entries) in enumerate(round.collected.items()):
        if number < round.written:
            continue
        last = round.last if number == round.written else None
        if room.position is None:
            dropped += len(entries)
        elif room in round.resets and (last is None or not entries):
            behind[room] = NOWHERE
        elif isinstance(last, Reset):
            behind[room] = round.resets[room]
        else:
            offset = last.offsets[-1] if last is not None else entries[0][1] - 1
            behind[room] = Position(offset, room.position.epoch)
    arrived = round.taken
    if round.written or round.last or arrived is None:
        return Broken(behind, dropped)
    # It may have ended while the last was collected.
    if (asked := arrived.room) is not None:
        if asked not in behind and asked.position is not None:
            told = arrived.reset is not None or asked.position.offset < arrived.start
            behind[asked] = NOWHERE if told else Position(arrived.start, asked.position.epoch)
        return Broken(behind, dropped)
    for publication in arrived.publications:
        found = rooms.get(told_apart(publication).room)
        if found is None or found in behind or not found.sinks:
            continue
        if found.position is None:
            dropped += found not in round.collected
        elif found.position == Position(publication.offset, publication.epoch):
            behind[found] = Position(publication.offset - 1, publication.epoch)
        else:
            behind[found] = found.position
    return Broken(behind, dropped)
