"""Reading what a room still holds, from anywhere in Django.

from realtime import ahistory, history
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from channels import DEFAULT_CHANNEL_LAYER

from realtime.rooms.history import read_history
from realtime.rooms.listing import source_of
from realtime.rooms.room_names import require_room_name
from realtime.sharded_layer import sharded_layer
from realtime.twins import LayerCall, twins
from shardlayer import Position, Publication

MOST = 1_000  # publications of one call
MOST_BYTES = 16 * 1024 * 1024  # of publications of one call


@dataclass(frozen=True, slots=True, kw_only=True)
class PastPublication:
    """A publication in a room's history.

    Attributes:
        offset: Its number in the room.
        data: What was published, as parsed from JSON.
        time: When, in Unix seconds by the clock of the room's server, to a tenth; None if a release
            that did not keep it published it.
        source: Where it came from: `events/0` for a partition of Kafka; None for no such place.
        source_offset: The record's offset there.
    """

    offset: int
    data: Any
    time: float | None = None
    source: str | None = None
    source_offset: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomPast:
    """What was read of a room.

    Attributes:
        publications: Oldest first.
        position: The room's position after them: a client that subscribes from it misses nothing.
            None in a room that keeps no history; offset 0 and an empty epoch before the first.
        more: How many of those asked for did not fit into one answer.
    """

    publications: Sequence[PastPublication]
    position: Position | None
    more: int = 0


def _history(
    room: str, *, limit: int = 100, before: int = 0, using: str = DEFAULT_CHANNEL_LAYER
) -> LayerCall[RoomPast]:
    """Return a room's newest publications, or the newest before an offset.

    Args:
        room: The room's name.
        limit: How many at most, 1 to 1,000. Together they have at most 16 MiB.
        before: Return those before this offset; 0: the newest of all.
        using: The alias of the channel layer.

    Raises:
        ValueError: The room's name breaks the rules, or a number is out of bounds.
        ShardUnavailable: The room's server does not answer.
    """
    require_room_name(room)
    if not 1 <= limit <= MOST:
        raise ValueError(f"limit is {limit!r}; it takes 1 to {MOST:,} publications.")
    if before < 0:
        raise ValueError(f"before is {before!r}; it takes an offset, or 0 for the newest.")
    layer = sharded_layer(using)

    async def read() -> RoomPast:
        found = await read_history(layer, room, limit=limit, before=before, max_bytes=MOST_BYTES)
        return RoomPast(
            publications=[_past(item) for item in found.publications],
            position=found.position,
            more=found.left,
        )

    return LayerCall(layer, read)


def _past(publication: Publication) -> PastPublication:
    source, place = source_of(publication)
    return PastPublication(
        offset=publication.offset,
        data=orjson.loads(publication.data),
        time=publication.time,
        source=source or None,
        source_offset=place,
    )


history, ahistory = twins(_history)
