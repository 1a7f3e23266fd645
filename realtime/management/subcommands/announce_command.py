"""`manage.py realtime announce JSON`: a word to everybody who is connected."""

from __future__ import annotations

from typing import Any

import orjson
from asgiref.sync import async_to_sync
from django.core.management.base import BaseCommand, CommandParser

from realtime import aannounce
from realtime.management.arguments import add_json, read_json
from realtime.management.json_answer import add_json_answer, write_answer
from realtime.management.layer_failures import layer_failure
from realtime.sharded_layer import sharded_layer
from shardlayer import ShardLayerError


class AnnounceCommand(BaseCommand):
    """Announces JSON as it was given."""

    help = "Announce JSON to every client that is connected now, whichever rooms it is in."
    requires_system_checks: list[str] = []  # they would ask Redis what announcing finds out anyway

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the data, and in which form to answer."""
        add_json(parser)
        add_json_answer(parser)

    def handle(self, *args: Any, data: str, json: bool, **options: Any) -> None:
        """Announce; who gets it is not known here."""
        fragment = read_json(data)
        try:
            async_to_sync(_announce)(fragment)
        except (TypeError, ShardLayerError) as error:
            raise layer_failure(error) from error
        text = "Announced to all connected clients."
        write_answer(self, text, {"announced": True}, json=json)


async def _announce(data: orjson.Fragment) -> None:
    try:
        await aannounce(data)
    finally:
        await sharded_layer().close()
