"""What the admin's list of rooms shows: a page of rooms in an order, their figures of just now."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from realtime.admin.admin_page import CLOSING, Memory, Query
from realtime.conf import conf
from realtime.rooms.room_index import (
    LARGEST_STEP,
    SORTS,
    RoomIndex,
    Selection,
    room_index,
)
from realtime.rooms.room_names import is_room_name
from realtime.sharded_layer import sharded_layer
from shardlayer import RoomSummary, ShardedChannelLayer

FIRST_LOOK = 0.1  # seconds that a page waits for rooms to be looked at: it is shown within 0.3
LIVE_LOOK = 0.25  # the same of a page that is open and shown anew
POINTS = 30  # looks that a sparkline shows


class Seen(NamedTuple):
    """Where a room stood at a look."""

    at: float
    offset: int
    epoch: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomRow:
    """A row of the list. None is unknown.

    Attributes:
        room: The room's name.
        shard: Its shard.
        people: Where the room has presence and somebody is there.
        members: Connections.
        nodes: Nodes with members.
        offset: Of the last publication; 0: nothing is numbered.
        rate: Publications a second.
        rates: Those of the last looks, oldest first.
        idle: Seconds since the last publication.
        history: Seconds for which the room's history is kept after its last publication.
        why: Why nothing is known; empty if something is.
    """

    room: str
    shard: int
    people: int | None = None
    members: int | None = None
    nodes: int | None = None
    offset: int | None = None
    rate: float | None = None
    rates: tuple[float | None, ...] = ()
    idle: float | None = None
    history: float = 0.0
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the list was asked: what can't be is left out.

    Attributes:
        prefix: How the rooms' names begin.
        shard: Of which shard; None: of all.
        sort: One of SORTS.
        page: From 1.
    """

    prefix: str
    shard: int | None
    sort: str
    page: int

    @classmethod
    def of(cls, query: Query, shards: int) -> Asked:
        """Return what the address says."""
        shard, page = query.get("shard", ""), query.get("page", "")
        sort = query.get("sort", "")
        is_shard = shard.isascii() and shard.isdigit() and len(shard) < 6 and int(shard) < shards
        return cls(
            prefix=query.get("q", "").strip(),
            shard=int(shard) if is_shard else None,
            sort=sort if sort in SORTS else SORTS[0],
            page=int(page) if page.isascii() and page.isdigit() and len(page) < 10 else 1,
        )


async def look_at_rooms(query: Query, memory: Memory) -> Mapping[str, Any]:
    """Return what the list's templates need."""
    layer, settings = sharded_layer(), conf()
    asked = Asked.of(query, layer.options.shards)
    index = room_index(layer)
    await index.refresh(LIVE_LOOK if CLOSING in memory else FIRST_LOOK)
    selection = await asyncio.to_thread(
        index.select,
        prefix=asked.prefix,
        shard=asked.shard,
        sort=asked.sort,
        page=asked.page,
        size=settings.admin_page_size,
    )
    rows = await _rows(layer, index, selection, memory)
    return {
        "asked": asked,
        "rows": rows,
        "selection": selection,
        "shards": range(layer.options.shards),
        "first": (selection.page - 1) * settings.admin_page_size + 1,
        "last": (selection.page - 1) * settings.admin_page_size + len(rows),
        "previous_page": selection.page - 1 or None,
        "next_page": selection.page + 1 if selection.page < selection.pages else None,
        "all_rooms": len(index.rooms),
        "is_whole": index.is_whole,
        "is_cut": index.is_cut,
        "age": index.age,
        "silent": index.silent,
        "exact": asked.prefix if is_room_name(asked.prefix) else None,
    }


async def _rows(
    layer: ShardedChannelLayer, index: RoomIndex, selection: Selection, memory: Memory
) -> list[RoomRow]:
    found = await layer.survey(selection.names, within=conf().check_timeout)
    now = time.monotonic()
    before: dict[str, tuple[Seen, deque[float | None]]] = memory.get("rooms", {})
    seen: dict[str, tuple[Seen, deque[float | None]]] = {}
    rows = []
    for name in selection.names:
        summary = found[name]
        if not isinstance(summary, RoomSummary):
            why = str(summary.__cause__ or summary)
            rows.append(RoomRow(room=name, shard=layer.shard_of(name), why=why))
            if name in before:
                seen[name] = before[name]
                seen[name][1].append(None)
            continue
        last, rates = before.get(name, (None, deque(maxlen=POINTS)))
        rate = _rate(last, summary, now)
        if rate is not None:
            rates.append(rate)
        elif (known := index.rooms.get(name)) is not None:
            rate = known.rate
        seen[name] = (Seen(now, summary.offset, summary.epoch), rates)
        rows.append(
            RoomRow(
                room=name,
                shard=summary.shard,
                people=summary.people or None,
                members=summary.members,
                nodes=summary.nodes,
                offset=summary.offset,
                rate=rate,
                rates=tuple(rates),
                idle=summary.idle,
                history=layer.options.policy_of(name).ttl,
            )
        )
    memory["rooms"] = seen
    return rows


def _rate(last: Seen | None, summary: RoomSummary, now: float) -> float | None:
    if last is None or not last.epoch or last.epoch != summary.epoch or now <= last.at:
        return None
    step = summary.offset - last.offset
    return step / (now - last.at) if 0 <= step < LARGEST_STEP else None
