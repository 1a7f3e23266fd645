"""`manage.py realtime unsubscribe USER ROOM`: put a user out of a room."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from realtime.connections import unsubscribe
from realtime.management.json_answer import add_json_answer, write_answer
from realtime.management.layer_failures import layer_failure
from realtime.management.named_user import add_user, named_user
from shardlayer import ShardLayerError


class UnsubscribeCommand(BaseCommand):
    """Has a user's connections leave a room."""

    help = (
        "Put all connections of a user out of a room, on all nodes. If they subscribe to it "
        "again, the rules decide; notes and tokens that were issued until now do not open it."
    )
    requires_system_checks: list[str] = []  # they would ask Redis what this finds out anyway

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the user and the room, and in which form to answer."""
        add_user(parser)
        parser.add_argument("room", metavar="ROOM")
        add_json_answer(parser)

    def handle(
        self, *args: Any, user: str, is_key: bool, room: str, json: bool, **options: Any
    ) -> None:
        """Tell all nodes."""
        try:
            unsubscribe(named_user(user, is_key), room)
        except (ValueError, ShardLayerError) as error:
            raise layer_failure(error) from error
        text = f"Told all workers to put {user} out of {room}."
        write_answer(self, text, {"user": user, "room": room}, json=json)
