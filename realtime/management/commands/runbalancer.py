"""`manage.py runbalancer`: one port in front of this machine's workers."""

from __future__ import annotations

import logging
from typing import Any

from django.core.management.base import CommandError, CommandParser

from realtime.conf import conf
from realtime.management.lasting_command import LastingCommand
from realtime.process_events import told_as_running
from shardlayer import ShardLayerError
from shardlayer.balancer.balancer_arguments import add_arguments, options_of
from shardlayer.balancer.serving import run_balancer


class Command(LastingCommand):
    """Runs until SIGTERM or SIGINT. Connections that workers hold go on without it."""

    help = "Accept connections on one port, and hand each to the least loaded worker."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the balancer's options; how many connections there may be is in the settings."""
        settings = conf()
        add_arguments(
            parser,
            max_connections=settings.ws_max_connections,
            reserve=settings.ws_reserved_connections,
        )

    def check(self, *args: Any, **options: Any) -> None:
        """Check nothing: Django's checks ask Redis, of which a balancer needs nothing.

        It reads its own settings, and a wrong one ends it. `--skip-checks` is taken all the same.
        """

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the balancer."""
        logging.basicConfig(level=logging.INFO)  # where the project's LOGGING says nothing
        try:
            with told_as_running("balancer"):
                run_balancer(options_of(options))
        except ShardLayerError as error:
            raise CommandError(str(error)) from error
