"""`manage.py runbalancer`: one port in front of this machine's workers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from django.core.management.base import CommandError, CommandParser

from realtime.conf import conf
from realtime.management.lasting_command import LastingCommand
from realtime.metrics.metric_sources import Measured
from realtime.metrics.sampling import start_sampling, stop_sampling
from realtime.process_events import told_as_running
from shardlayer import ShardLayerError
from shardlayer.balancer.balancer_arguments import add_arguments, options_of
from shardlayer.balancer.balancer_counters import BalancerCounters
from shardlayer.balancer.serving import log_to_terminal, run_balancer


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
        log_to_terminal()
        wanted = options_of(options)
        # With a group workers may be other users', and the figures' directory is one user's alone.
        has_figures = bool(conf().metrics_directory) and wanted.socket_group is None
        try:
            with told_as_running("balancer"):
                run_balancer(wanted, _figures if has_figures else nullcontext)
        except ShardLayerError as error:
            raise CommandError(str(error)) from error


@contextmanager
def _figures(counters: BalancerCounters) -> Iterator[None]:
    """Write the balancer's figures where the workers' `/metrics` find them."""
    start_sampling(Measured(role="balancer", balancer=counters))
    try:
        yield
    finally:
        stop_sampling()
