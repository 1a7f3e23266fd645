"""The rooms that there are, in an order: what the command shows.

The admin's pages show what is known by the time that they are asked for; this looks until it knows
all rooms. Both go by `realtime/rooms/room_index.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from asgiref.sync import async_to_sync
from channels import DEFAULT_CHANNEL_LAYER

from realtime.conf import conf
from realtime.rooms.room_index import FRESH, room_index
from realtime.sharded_layer import sharded_layer
from shardlayer import (
    RoomInfo,
    RoomSummary,
    ShardedChannelLayer,
    ShardLayerError,
    stall_tolerant_timeout,
)

AT_A_TIME = 100  # rooms that are asked for together
LOOK = 1.0  # seconds of looking, between which it may be cancelled


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundRoom:
    """A room. None is unknown.

    Attributes:
        name: The room's name.
        shard: Its shard.
        info: What its shard says of it; None: it did not answer.
        people: People, where the room has presence and somebody is there.
        rate: Publications a second, between the last two looks; None before the second one.
        idle: Seconds since the last publication; None: unknown, or there was none.
    """

    name: str
    shard: int
    info: RoomInfo | None
    people: int | None
    rate: float | None
    idle: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundRooms:
    """The first rooms in the order that was asked for.

    Attributes:
        rooms: They.
        total: How many fit what was asked for, of those that were found.
        silent: Servers that did not answer, and why: their rooms may be missing.
        is_cut: Whether there are more than ADMIN_MAX_ROOMS, so that not all were looked at.
    """

    rooms: tuple[FoundRoom, ...]
    total: int
    silent: Mapping[str, str]
    is_cut: bool


async def arooms(
    *,
    prefix: str = "",
    shard: int | None = None,
    sort: str = "name",
    limit: int = 1_000,
    with_rates: bool = False,
    using: str = DEFAULT_CHANNEL_LAYER,
) -> FoundRooms:
    """Return the first `limit` rooms of those whose names begin with `prefix`.

    All rooms are looked at, in short calls: with 100,000 of them that takes seconds. A server that
    does not answer within `CHECK_TIMEOUT` is not waited for again.

    Args:
        prefix: How the names begin.
        shard: Of which shard; None: of all.
        sort: `name`, `members` (most first) or `rate` (busiest first).
        limit: Rooms at most; 10,000 are put in order.
        with_rates: Whether to look twice, some seconds apart, where no rate is known yet.
        using: The alias of the channel layer.
    """
    layer = sharded_layer(using)
    index = room_index(layer)
    await index.refresh(LOOK)
    while not index.is_whole:
        await index.refresh(LOOK)
    if with_rates and all(room.rate is None for room in index.rooms.values()):
        await asyncio.sleep(FRESH)
        index.expire()  # after a long round it would not be due for long, and no rate be known
        await index.refresh(LOOK, waits=True)
        while index.is_looking:
            await index.refresh(LOOK, waits=True)
    chosen = await asyncio.to_thread(
        index.select, prefix=prefix, shard=shard, sort=sort, page=1, size=limit
    )
    known = [(name, index.rooms[name]) for name in chosen.names if name in index.rooms]
    names = [name for name, _ in known]
    infos, survey = await asyncio.gather(
        _infos(layer, names), layer.survey(names, within=conf().check_timeout)
    )
    return FoundRooms(
        rooms=tuple(
            FoundRoom(
                name=name,
                shard=room.shard,
                info=info,
                people=_people(survey[name]),
                rate=room.rate,
                idle=room.idle,
            )
            for (name, room), info in zip(known, infos, strict=True)
        ),
        total=chosen.total,
        silent=dict(index.silent),
        is_cut=index.is_cut,
    )


rooms = async_to_sync(arooms)


def _people(summary: RoomSummary | ShardLayerError) -> int | None:
    return summary.people or None if isinstance(summary, RoomSummary) else None


async def _infos(layer: ShardedChannelLayer, names: Sequence[str]) -> list[RoomInfo | None]:
    within = conf().check_timeout

    async def one(name: str) -> RoomInfo | None:
        try:
            async with stall_tolerant_timeout(within):
                return await layer.room_info(name)
        except (ShardLayerError, TimeoutError):
            return None

    found: list[RoomInfo | None] = []
    for begin in range(0, len(names), AT_A_TIME):
        found += await asyncio.gather(*map(one, names[begin : begin + AT_A_TIME]))
    return found
