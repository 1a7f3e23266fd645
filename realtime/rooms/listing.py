"""What Redis knows of one room, for people to look at."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import orjson
from django.utils.timezone import localtime

from shardlayer import Publication, RoomInfo, ShardedChannelLayer, stall_tolerant_timeout


async def room_with_history(
    layer: ShardedChannelLayer, room: str, *, limit: int, within: float
) -> tuple[RoomInfo, list[Publication]]:
    """Return a room and its newest publications, newest first.

    Raises:
        ShardUnavailable: Its server did not answer.
        TimeoutError: It did not within `within` seconds.
    """
    async with stall_tolerant_timeout(within):
        info, history = await asyncio.gather(
            layer.room_info(room), layer.history(room, limit=limit)
        )
    return info, history[::-1]


def room_fields(room: RoomInfo) -> dict[str, object]:
    """Return a room as JSON has it; `offset` and `epoch` are null where nothing was numbered."""
    return {
        "room": room.room,
        "shard": room.shard,
        "members": room.members,
        "nodes": room.nodes,
        "offset": room.offset or None,
        "epoch": room.epoch or None,
        "history_length": room.history_length,
    }


def publication_fields(publication: Publication) -> dict[str, object]:
    """Return a publication as JSON has it: its data as published, or as a text if not JSON."""
    data: object = orjson.Fragment(publication.data)
    try:
        orjson.loads(publication.data)
    except orjson.JSONDecodeError:
        data = publication.data.decode("utf-8", "replace")
    source, place = source_of(publication)
    return {
        "offset": publication.offset,
        "epoch": publication.epoch,
        "time": publication.time,
        "source": source or None,
        "source_offset": place,
        "data": data,
    }


def source_of(publication: Publication) -> tuple[str, int | None]:
    """Return where a publication came from: `events/0` of Kafka, and the record's offset there.

    Empty and None if it has no source, or none is known.
    """
    mark = publication.mark
    if mark is None:
        return "", None
    return mark.source.partition("@")[0], mark.offset  # without the id that tells topics apart


def local_time(seconds: float | None) -> str:
    """Return a Unix time in Django's current time zone; empty if it is not known."""
    if seconds is None:
        return ""
    at = localtime(datetime.fromtimestamp(seconds, UTC))
    return f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 100_000}"
