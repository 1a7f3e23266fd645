"""`manage.py realtime rooms`: which rooms there are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandParser

from realtime.conf import conf
from realtime.management.arguments import count
from realtime.management.figures_text import NOTHING, UNKNOWN, duration, number, rate
from realtime.management.looking_command import LookingCommand
from realtime.management.tables import table
from realtime.operations import FoundRoom, FoundRooms, rooms
from realtime.rooms.listing import room_fields
from realtime.rooms.room_index import SORTS

LIMIT = 1_000  # rooms

HEAD = (
    *("Room", "Shard", "Nodes", "Members", "People", "Last offset", "History"),
    *("Messages/s", "Last message"),
)


class RoomsCommand(LookingCommand):
    """Looks at every Redis server, and at no process."""

    help = "Show the rooms: their shards, how many are in them, and how much history they have."
    json_help = "A line of JSON for each room."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take which ones, how many, and in which form."""
        parser.add_argument(
            "--prefix", default="", metavar="TEXT", help="Only rooms whose names begin with this."
        )
        parser.add_argument("--shard", type=int, help="Only rooms of this shard.")
        parser.add_argument(
            "--sort",
            choices=SORTS,
            default="name",
            help="What comes first: the rooms with the most members, or with the most messages "
            "(measured over some seconds), or by name (default).",
        )
        parser.add_argument(
            "--limit",
            type=count,
            default=LIMIT,
            help="How many rooms at most (default: %(default)s).",
        )
        super().add_arguments(parser)

    def look(self, **options: Any) -> FoundRooms:
        """Return the rooms."""
        sort: str = options["sort"]
        return rooms(
            prefix=options["prefix"],
            shard=options["shard"],
            sort=sort,
            limit=options["limit"],
            with_rates=sort == "rate",
        )

    def json_lines(self, found: FoundRooms) -> Iterator[object]:
        """Yield each room as JSON has it."""
        for room in found.rooms:
            known = (
                {"room": room.name, "shard": room.shard}
                if room.info is None
                else (room_fields(room.info))
            )
            yield known | {"people": room.people, "rate": room.rate, "idle": room.idle}

    def lines(self, found: FoundRooms) -> Iterator[str]:
        """Yield a table of them."""
        if found.rooms:
            yield from table(HEAD, [_row(room) for room in found.rooms])
        elif not found.silent:
            yield "No rooms: nobody has subscribed to one or published to one."

    def remark(self, found: FoundRooms) -> str:
        """Say that there are more."""
        if found.total > len(found.rooms):
            return f"There are more: {found.total:,}. These are the first {len(found.rooms):,}."
        if found.is_cut:
            return f"There are more than the {conf().admin_max_rooms:,} that were looked at."
        return ""

    def why_unknown(self, found: FoundRooms) -> str:
        """Say whose rooms are not shown."""
        servers = "; ".join(f"{server} ({why})" for server, why in found.silent.items())
        return f"No answer, so these servers' rooms are not shown: {servers}." if servers else ""


def _row(room: FoundRoom) -> tuple[object, ...]:
    info = room.info
    if info is None:
        known: tuple[object, ...] = (UNKNOWN,) * 5
    else:
        known = (
            len(info.nodes),
            info.members,
            number(room.people),
            info.offset or "none",
            info.history_length,
        )
    idle = NOTHING if room.idle is None else f"{duration(room.idle)} ago"
    return (room.name, room.shard, *known, rate(room.rate), idle)
