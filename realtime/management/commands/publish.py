"""`manage.py publish ROOM JSON`: one publication from the command line."""

from __future__ import annotations

import sys
from typing import Any

import orjson
from asgiref.sync import async_to_sync
from django.core.management.base import BaseCommand, CommandError, CommandParser

from realtime.layers import sharded_layer
from realtime.publish import apublish
from shardlayer import Position, ShardLayerError


class Command(BaseCommand):
    """Publishes JSON as it was given."""

    help = "Publish JSON to everybody in a room."
    requires_system_checks: list[str] = []  # they would ask Redis what publishing finds out anyway

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the room and the data."""
        parser.add_argument("room", metavar="ROOM")
        parser.add_argument("data", metavar="JSON", help='The data; "-" reads standard input.')

    def handle(self, *args: Any, room: str, data: str, **options: Any) -> None:
        """Publish, and say where in the room's history it went."""
        text = sys.stdin.read() if data == "-" else data
        try:
            orjson.loads(text)
        except orjson.JSONDecodeError as error:
            raise CommandError(f"Not JSON: {error}.") from error
        try:
            position = async_to_sync(_publish)(room, orjson.Fragment(text.strip()))
        except (ValueError, TypeError, ShardLayerError) as error:
            raise CommandError(str(error)) from error
        if position is None:
            self.stdout.write(f"Published to {room}, which keeps no history.")
        else:
            self.stdout.write(
                f"Published to {room} at offset {position.offset}, epoch {position.epoch}."
            )


async def _publish(room: str, data: orjson.Fragment) -> Position | None:
    try:
        return await apublish(room, data)
    finally:
        await sharded_layer().close()
