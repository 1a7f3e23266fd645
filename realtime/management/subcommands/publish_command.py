"""`manage.py realtime publish ROOM JSON`: one publication from the command line."""

from __future__ import annotations

from typing import Any

import orjson
from asgiref.sync import async_to_sync
from django.core.management.base import BaseCommand, CommandParser

from realtime import apublish
from realtime.management.arguments import add_json, read_json
from realtime.management.json_answer import add_json_answer, write_answer
from realtime.management.layer_failures import layer_failure
from realtime.sharded_layer import sharded_layer
from shardlayer import Position, ShardLayerError


class PublishCommand(BaseCommand):
    """Publishes JSON as it was given."""

    help = "Publish JSON to everybody in a room."
    requires_system_checks: list[str] = []  # they would ask Redis what publishing finds out anyway

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the room and the data, and in which form to answer."""
        parser.add_argument("room", metavar="ROOM")
        add_json(parser)
        parser.add_argument(
            "--key",
            help="An idempotency key. If the command runs again with the same key within five "
            "minutes, it publishes nothing and shows the position of the first publication.",
        )
        add_json_answer(parser)

    def handle(
        self, *args: Any, room: str, data: str, key: str | None, json: bool, **options: Any
    ) -> None:
        """Publish, and say where in the room's history it went."""
        fragment = read_json(data)
        try:
            position = async_to_sync(_publish)(room, fragment, key)
        except (ValueError, TypeError, ShardLayerError) as error:
            raise layer_failure(error) from error
        if position is None:
            text = f"Published to {room}, which keeps no history."
            offset, epoch = None, None
        else:
            offset, epoch = position.offset, position.epoch
            text = f"Published to {room} at offset {offset}, epoch {epoch}."
        write_answer(self, text, {"room": room, "offset": offset, "epoch": epoch}, json=json)


async def _publish(room: str, data: orjson.Fragment, key: str | None) -> Position | None:
    try:
        return await apublish(room, data, idempotency_key=key)
    finally:
        await sharded_layer().close()
