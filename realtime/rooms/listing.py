"""What Redis knows of rooms, for people to look at."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import orjson

from shardlayer import Publication, RoomInfo, ShardedChannelLayer, ShardUnavailable

Cursors = tuple[int | None, ...]
"""Where each server's SCAN goes on, in the servers' order; None: it came to its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomsPage:
    """Some rooms of every server.

    Attributes:
        rooms: By name.
        silent: Servers that did not answer, and why.
        next: Where the next page begins; None after the last.
    """

    rooms: list[RoomInfo]
    silent: dict[str, str]
    next: Cursors | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomList:
    """The rooms that there are, up to a limit.

    Attributes:
        rooms: By name.
        silent: Servers that did not answer, and why.
        more: Whether there are rooms beyond the limit.
    """

    rooms: list[RoomInfo]
    silent: dict[str, str]
    more: bool


def first_page(servers: int) -> Cursors:
    """Return where the first page begins."""
    return (0,) * servers


async def rooms_page(
    layer: ShardedChannelLayer, cursors: Cursors, *, count: int, within: float
) -> RoomsPage:
    """Return a page: one SCAN of about `count` keys on each server, all at the same time.

    A server that does not answer within `within` seconds is named on the page, and asked again
    by the next one. SCAN may show a room twice on different pages.
    """
    names = layer.servers()
    wanted = [index for index, cursor in enumerate(cursors) if cursor is not None]
    scans = await asyncio.gather(
        *(_scan(layer, index, cursors[index] or 0, count, within) for index in wanted)
    )
    rooms: dict[str, RoomInfo] = {}
    silent: dict[str, str] = {}
    after = list(cursors)
    for index, scan in zip(wanted, scans, strict=True):
        if isinstance(scan, str):
            silent[names[index]] = scan
        else:
            after[index] = scan[0] or None
            rooms |= {room.room: room for room in scan[1]}
    alive = [after[index] for index in wanted if names[index] not in silent]
    return RoomsPage(
        rooms=[rooms[name] for name in sorted(rooms)],
        silent=silent,
        next=tuple(after) if any(cursor is not None for cursor in alive) else None,
    )


async def list_rooms(
    layer: ShardedChannelLayer, *, limit: int, count: int, within: float
) -> RoomList:
    """Return `limit` rooms at most, each once, by SCANs of `count` keys on all servers.

    A server that did not answer within `within` seconds is not asked again.
    """
    names = layer.servers()
    rooms: dict[str, RoomInfo] = {}
    silent: dict[str, str] = {}
    cursors: Cursors | None = first_page(len(names))
    while cursors is not None and len(rooms) <= limit:
        page = await rooms_page(layer, cursors, count=count, within=within)
        rooms |= {room.room: room for room in page.rooms}
        silent |= page.silent
        cursors = page.next and tuple(
            None if name in silent else cursor
            for name, cursor in zip(names, page.next, strict=True)
        )
    return RoomList(
        rooms=[rooms[name] for name in sorted(rooms)[:limit]],
        silent=silent,
        more=len(rooms) > limit,
    )


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


async def _scan(
    layer: ShardedChannelLayer, index: int, cursor: int, count: int, within: float
) -> tuple[int, list[RoomInfo]] | str:
    try:
        async with asyncio.timeout(within):
            return await layer.scan_rooms(index, cursor, count)
    except TimeoutError:
        return f"no answer within {within:g} s"
    except ShardUnavailable as error:
        return str(error.__cause__ or error)  # the page names the server itself
