"""`manage.py realtime rooms`: which rooms there are."""

from __future__ import annotations

from typing import Any

import orjson
from asgiref.sync import async_to_sync
from django.core.management.base import BaseCommand, CommandError, CommandParser

from realtime.conf import conf
from realtime.management.arguments import count
from realtime.management.tables import table
from realtime.rooms.listing import RoomList, list_rooms, room_fields
from realtime.sharded_layer import sharded_layer

LIMIT = 1_000  # rooms

HEAD = ("Room", "Shard", "Nodes", "Members", "Last offset", "History")


class RoomsCommand(BaseCommand):
    """Looks at every Redis server, and at no process."""

    help = "Show the rooms: where they are, who is in them, and what they remember."
    requires_system_checks: list[str] = []  # they would ask Redis what this finds out anyway

    def add_arguments(self, parser: CommandParser) -> None:
        """Take how much, and in which form."""
        parser.add_argument(
            "--limit", type=count, default=LIMIT, help="Rooms at most (default: %(default)s)."
        )
        parser.add_argument("--json", action="store_true", help="A line of JSON for each room.")

    def handle(self, *args: Any, limit: int, json: bool, **options: Any) -> None:
        """Print the rooms by name; fails, after that, if a server did not answer."""
        found = async_to_sync(_list)(limit)
        if json:
            for room in found.rooms:
                self.stdout.write(orjson.dumps(room_fields(room)).decode())
        elif found.rooms:
            rows = [
                (
                    room.room,
                    room.shard,
                    len(room.nodes),
                    room.members,
                    room.offset or "none",
                    room.history_length,
                )
                for room in found.rooms
            ]
            for line in table(HEAD, rows):
                self.stdout.write(line)
        elif not found.silent:
            self.stdout.write("No rooms: nobody has subscribed to one or published to one.")
        if found.more:
            self.stderr.write(f"There are more; these are the first {limit:,} that were found.")
        if found.silent:
            servers = "; ".join(f"{server} ({why})" for server, why in found.silent.items())
            raise CommandError(f"Not answered, so its rooms are not shown: {servers}.")


async def _list(limit: int) -> RoomList:
    settings = conf()
    layer = sharded_layer()
    try:
        return await list_rooms(
            layer, limit=limit, count=settings.admin_page_size, within=settings.check_timeout
        )
    finally:
        await layer.close()
