"""`manage.py realtime disconnect USER`: end all connections of a user."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from realtime.connections import disconnect
from realtime.management.named_user import add_user, named_user
from shardlayer import ShardLayerError


class DisconnectCommand(BaseCommand):
    """Signs a user's connections out."""

    help = (
        "Close all connections of a user, on all nodes. Notes and tokens issued until now "
        "are no longer valid; a session still signs in."
    )
    requires_system_checks: list[str] = []  # they would ask Redis what this finds out anyway

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the user."""
        add_user(parser)

    def handle(self, *args: Any, user: str, is_key: bool, **options: Any) -> None:
        """Tell all nodes."""
        try:
            disconnect(named_user(user, is_key))
        except (ValueError, ShardLayerError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"Told all workers to close the connections of {user}.")
