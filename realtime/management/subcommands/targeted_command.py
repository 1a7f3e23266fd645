"""`manage.py realtime targeted PERCENT`: rolls targeted dispatch out, or back."""

from __future__ import annotations

from typing import Any

from asgiref.sync import async_to_sync
from django.core.management.base import BaseCommand, CommandError, CommandParser

from realtime.management.json_answer import add_json_answer, write_answer
from realtime.sharded_layer import sharded_layer
from shardlayer import ShardLayerError


class TargetedCommand(BaseCommand):
    """Has a part of the rooms told to just the workers that have members of them."""

    help = (
        "Set for how many percent of the rooms publications go only to workers that have members. "
        "Those of the other rooms go to all workers. A hash of its name decides for a room. "
        "Until somebody sets it, it is 100."
    )
    requires_system_checks: list[str] = []  # they would ask Redis what setting it finds out anyway

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the percentage, and in which form to answer."""
        parser.add_argument("percent", metavar="PERCENT", type=int, help="0 to 100.")
        add_json_answer(parser)

    def handle(self, *args: Any, percent: int, json: bool, **options: Any) -> None:
        """Set it on every shard."""
        try:
            async_to_sync(_set)(percent)
        except (ValueError, ShardLayerError) as error:
            raise CommandError(str(error)) from error
        text = f"Targeted dispatch is on for {percent} percent of the rooms."
        write_answer(self, text, {"percent": percent}, json=json)


async def _set(percent: int) -> None:
    layer = sharded_layer()
    try:
        await layer.set_targeted_percent(percent)
    finally:
        await layer.close()
