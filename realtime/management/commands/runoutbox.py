"""`manage.py runoutbox`: publishes what transactions have written into the outbox."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.db import DEFAULT_DB_ALIAS, connections

from realtime.conf import conf
from realtime.management.lasting_command import LastingCommand
from realtime.metrics.metric_sources import Process
from realtime.metrics.sampling import start_sampling, stop_sampling
from realtime.nodes.reporter import start_reports, stop_reports
from realtime.outbox.outbox_store import OutboxStore
from realtime.outbox.relay import FAILURES, OutboxRelay
from realtime.process_events import told_as_running
from realtime.sharded_layer import sharded_layer
from shardlayer import (
    GC_THRESHOLD,
    ShardedChannelLayer,
    Tasks,
    run_until_stopped,
    spare_collections,
)
from shardlayer.server.last_resort import end_after

logger = logging.getLogger(__name__)

STOP_TIMEOUT = 15.0  # seconds from the signal to the end of the process, whatever it does


class Command(LastingCommand):
    """Runs one relay. Any number may run beside it, each waiting to take over."""

    help = "Publish what transactions have written into the outbox. Runs until it is stopped."
    requires_migrations_checks = True

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the database, and what to do with entries that were put aside."""
        parser.add_argument(
            "--database",
            default=DEFAULT_DB_ALIAS,
            choices=tuple(connections),
            help="The database that has the outbox (default: %(default)s).",
        )
        parser.add_argument(
            "--retry-failed",
            action="store_true",
            help="Have a relay try the entries again that were put aside, print how many there "
            "are, and end.",
        )

    def check_migrations(self) -> None:
        """Say which migrations are missing; while the database is away the relay waits for it."""
        try:
            super().check_migrations()
        except FAILURES as error:
            logger.debug("The migrations can't be checked: %s", error)

    def handle(self, *args: Any, database: str, retry_failed: bool, **options: Any) -> None:
        """Run the relay."""
        configured = conf()
        store = OutboxStore(database, lease=configured.outbox_lease)
        if retry_failed:
            try:
                self.stdout.write(f"{store.take_up()} entries will be tried again.")
            except FAILURES as error:
                raise CommandError(f"The database {database!r}: {error}") from error
            return
        try:
            sharded_layer()
        except TypeError as error:
            raise CommandError(str(error)) from error
        with spare_collections(GC_THRESHOLD):
            run_until_stopped(lambda stop: _run(store, stop))


async def _run(store: OutboxStore, stop: asyncio.Event) -> None:
    layers = {alias: layer for alias in settings.CHANNEL_LAYERS if (layer := _layer(alias))}
    for layer in layers.values():
        layer.use_running_loop()
    configured = conf()
    relay = OutboxRelay(
        store,
        sharded_layer,
        aliases=list(layers),
        poll=configured.outbox_poll,
        lease=configured.outbox_lease,
    )
    process = Process(role="outbox", layer=sharded_layer(), outbox=relay)
    start_sampling(process)
    start_reports(process)
    tasks = Tasks()
    tasks.spawn(_end_in_time(stop), "end the process in time")
    try:
        with told_as_running("outbox"):
            await relay.run(stop)
    finally:
        await tasks.aclose()
        await stop_reports()
        for layer in layers.values():
            await layer.close()
        stop_sampling()


async def _end_in_time(stop: asyncio.Event) -> None:
    """See that a database that hangs does not keep the process: nobody can cancel a query."""
    await stop.wait()
    end_after(STOP_TIMEOUT, f"The relay did not stop within {STOP_TIMEOUT:g} s of the signal.")


def _layer(alias: str) -> ShardedChannelLayer | None:
    try:
        return sharded_layer(alias)
    except TypeError:  # somebody else's layer
        return None
