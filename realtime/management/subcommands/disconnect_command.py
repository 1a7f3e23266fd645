"""`manage.py realtime disconnect USER`, or `--connection ID`: end connections."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from realtime.connections import disconnect
from realtime.management.json_answer import add_json_answer, write_answer
from realtime.management.layer_failures import layer_failure
from realtime.management.named_user import add_user, named_user
from realtime.management.operator_name import operator_name
from realtime.operations import disconnect_client
from shardlayer import ShardLayerError


class DisconnectCommand(BaseCommand):
    """Signs a user's connections out, or ends one."""

    help = (
        "Close all connections of a user, on all nodes. Notes and tokens that were issued to the "
        "user until now are no longer valid, but a session still is. With --connection: close one "
        "connection, whoever is on it; it may come back."
    )
    requires_system_checks: list[str] = []  # they would ask Redis what this finds out anyway

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the user, or the connection, and in which form to answer."""
        add_user(parser, optional=True)
        parser.add_argument(
            "--connection",
            metavar="ID",
            default="",
            help="Instead of USER: the id of one connection, as `realtime room ROOM` shows it.",
        )
        add_json_answer(parser)

    def handle(
        self,
        *args: Any,
        user: str | None,
        is_key: bool,
        connection: str,
        json: bool,
        **options: Any,
    ) -> None:
        """Tell all nodes."""
        if (user is None) == (not connection):
            raise CommandError("Name either a USER or a --connection.")
        try:
            if connection:
                disconnect_client(connection, by=operator_name())
                whose = f"the connection {connection}"
            else:
                disconnect(named_user(str(user), is_key))
                whose = f"the connections of {user}"
        except (ValueError, ShardLayerError) as error:
            raise layer_failure(error) from error
        fields = {"user": user, "connection": connection or None}
        write_answer(self, f"Told all workers to close {whose}.", fields, json=json)
