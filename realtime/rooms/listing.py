"""What Redis knows of one room, for people to look at."""

from __future__ import annotations

import asyncio

import orjson

from shardlayer import Publication, RoomInfo, ShardedChannelLayer


async def room_with_history(
    layer: ShardedChannelLayer, room: str, *, limit: int, within: float
) -> tuple[RoomInfo, list[Publication]]:
    """Return a room and its newest publications, newest first.

    Raises:
        ShardUnavailable: Its server did not answer.
        TimeoutError: It did not within `within` seconds.
    """
    async with asyncio.timeout(within):
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
    return {"offset": publication.offset, "epoch": publication.epoch, "data": data}
