"""`manage.py realtime SUBCOMMAND`: everything that an operator looks at and does."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from channels.layers import get_channel_layer
from django.core.management.base import (
    BaseCommand,
    CommandError,
    CommandParser,
    no_translations,
)
from django.db import DatabaseError

from realtime.checkup.running_checks import are_running
from realtime.management.settings_errors import settings_errors
from realtime.management.subcommand_parser import SubcommandParser
from realtime.management.subcommands.registry import SUBCOMMANDS, subcommand
from shardlayer import ShardedChannelLayer
from shardlayer.server.last_resort import exit_now


class Command(BaseCommand):
    """Hands on to the subcommands that registry.py names.

    One that has nothing to do with the channel layer says so by `uses_layer = False`. A program
    imports the one that it is asked for; who calls it from Python may ask for any.
    """

    help = "Look at the rooms, nodes, shards and Kafka of the whole deployment, and act on them."
    requires_system_checks: list[str] = []  # they would ask Redis what this finds out anyway
    _known: Collection[str] = SUBCOMMANDS  # those whose arguments are taken

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the subcommand and its arguments."""
        parsers = parser.add_subparsers(
            dest="subcommand",
            metavar="SUBCOMMAND",
            required=True,
            title="subcommands",
            parser_class=SubcommandParser,
        )
        for name in self._known:
            command = subcommand(name)()
            own = parsers.add_parser(name, help=command.help, description=command.help)
            command.add_arguments(own)

    def run_from_argv(self, argv: list[str]) -> None:
        """Run as a program, which ends also while a check hangs that nobody waits for."""
        asked = argv[2:3]
        if asked and asked[0] in SUBCOMMANDS:  # else it is an option, or a mistake
            self._known = asked
        try:
            with settings_errors(self):
                super().run_from_argv(argv)
        except SystemExit as ended:
            if are_running():
                exit_now(ended.code if isinstance(ended.code, int) else 1)
            raise

    @no_translations  # what commands print is English, also where pages are not
    def handle(self, *args: Any, **options: Any) -> None:
        """Do it; what can't be done is one line."""
        command = subcommand(options.pop("subcommand"))()
        command.stdout, command.stderr, command.style = self.stdout, self.stderr, self.style
        if getattr(command, "uses_layer", True):
            self._warn_of_memory()
        try:
            command.handle(*args, **options)
        except DatabaseError as error:
            raise CommandError(f"The database can't be used: {error}") from error
        except TypeError as error:
            if "CHANNEL_LAYERS" not in str(error):
                raise
            raise CommandError(str(error)) from error

    def _warn_of_memory(self) -> None:
        """Say that what follows is of this process alone, where no other can see its layer."""
        layer = get_channel_layer()
        if isinstance(layer, ShardedChannelLayer) and layer.servers()[0].startswith("memory:"):
            self.stderr.write(
                "The layer is in memory, so this command can't see or reach other processes. Put "
                "a Redis server into 'hosts' of CHANNEL_LAYERS for that.",
                self.style.WARNING,
            )
