"""`manage.py realtime history ROOM`: one room, and what it remembers."""

from __future__ import annotations

from typing import Any

import orjson
from asgiref.sync import async_to_sync
from django.core.management.base import BaseCommand, CommandError, CommandParser

from realtime.conf import conf
from realtime.management.arguments import count
from realtime.management.history_lines import history_lines
from realtime.rooms.listing import publication_fields, room_fields, room_with_history
from realtime.rooms.room_names import require_room_name
from realtime.sharded_layer import sharded_layer
from shardlayer import Publication, RoomInfo, ShardLayerError

LIMIT = 50  # publications


class HistoryCommand(BaseCommand):
    """Looks at the room's Redis server, and at no process."""

    help = "Show a room: its shard, how many are in it, and its newest publications in order."
    requires_system_checks: list[str] = []  # they would ask Redis what this finds out anyway

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the room, how much of it, and in which form."""
        parser.add_argument("room", metavar="ROOM")
        parser.add_argument(
            "--limit",
            type=count,
            default=LIMIT,
            help="How many publications at most (default: %(default)s).",
        )
        parser.add_argument("--json", action="store_true", help="All of it as one line of JSON.")

    def handle(self, *args: Any, room: str, limit: int, json: bool, **options: Any) -> None:
        """Print the room; of a name that nobody used, that nothing is there."""
        try:
            require_room_name(room)
            info, newest_first = async_to_sync(_look)(room, limit)
        except TimeoutError as error:
            layer = sharded_layer()
            raise CommandError(
                f"Shard {layer.shard_of(room)} did not answer within {conf().check_timeout:g} s. "
                f"The servers are {', '.join(layer.servers())}."
            ) from error
        except (ValueError, ShardLayerError) as error:
            raise CommandError(str(error)) from error
        publications = newest_first[::-1]
        if json:
            fields = room_fields(info) | {
                "publications": [publication_fields(item) for item in publications]
            }
            self.stdout.write(orjson.dumps(fields).decode())
            return
        for name, value in _facts(info):
            self.stdout.write(f"{name:<12} {value}")
        if publications:
            self.stdout.write("")
            for line in history_lines(publications):
                self.stdout.write(line)


async def _look(room: str, limit: int) -> tuple[RoomInfo, list[Publication]]:
    layer = sharded_layer()
    try:
        return await room_with_history(layer, room, limit=limit, within=conf().check_timeout)
    finally:
        await layer.close()


def _facts(room: RoomInfo) -> list[tuple[str, object]]:
    nodes = ", ".join(f"{node} ({members})" for node, members in room.nodes.items())
    offset = f"{room.offset} in epoch {room.epoch}" if room.offset else "none"
    return [
        ("Room", room.room),
        ("Shard", room.shard),
        ("Members", room.members),
        ("Nodes", nodes or "none"),
        ("Last offset", offset),
        ("History", f"{room.history_length} publications"),
    ]
