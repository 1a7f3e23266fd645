"""`manage.py runkafka`: the Kafka pool."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.module_loading import import_string

from realtime.conf import Conf, conf
from realtime.kafka.brokers import KafkaSettingsError, brokers_of
from realtime.kafka.pool import Pool
from realtime.kafka.size_limits import Limits
from realtime.management.arguments import count
from realtime.management.run_until_stopped import run_until_stopped
from realtime.sharded_layer import sharded_layer
from realtime.waiting import wait_for_redis
from shardlayer import GC_THRESHOLD, ShardedChannelLayer, spare_collections


class Command(BaseCommand):
    """Runs until SIGTERM or SIGINT; then finishes its batches, commits and leaves the group."""

    help = "Publish the records of Kafka topics to rooms, from a pool of consumers in one group."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take what differs between pools; the rest is settings."""
        settings = conf()
        parser.add_argument(
            "--consumers", type=count, default=1, help="Consumers in this process (default: 1)."
        )
        parser.add_argument(
            "--group",
            default=settings.kafka_group,
            help="The consumer group (default: %(default)s).",
        )
        parser.add_argument(
            "--topics",
            nargs="+",
            default=list(settings.kafka_topics),
            metavar="TOPIC",
            help="What to read (default: %(default)s).",
        )
        parser.add_argument(
            "--bootstrap",
            default=",".join(settings.kafka_bootstrap_servers),
            metavar="HOST:PORT,…",
            help="Brokers to find the others by (default: %(default)s).",
        )
        parser.add_argument(
            "--from",
            dest="auto_offset_reset",
            choices=("earliest", "latest"),
            default=settings.kafka_auto_offset_reset,
            help="Where a group that never committed starts (default: %(default)s).",
        )

        parser.add_argument(
            "--instance-id",
            metavar="NAME",
            help="Keeps the consumers' partitions over a restart within the session timeout; "
            "a name of this process's own, the same after the restart.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the pool."""
        spare_collections(GC_THRESHOLD)  # records come in thousands, and leave no cycles
        try:
            run_until_stopped(lambda stop: _run(stop, options))
        except KafkaSettingsError as error:
            raise CommandError(str(error)) from error


async def _run(stop: asyncio.Event, options: dict[str, Any]) -> None:
    settings = conf()
    layer = sharded_layer()
    layer.use_running_loop()
    try:
        pool = _pool(settings, layer, options)
        if await wait_for_redis(layer, stop=stop):
            await pool.run(stop)
    finally:
        await layer.close()


def _pool(settings: Conf, layer: ShardedChannelLayer, options: dict[str, Any]) -> Pool:
    """Return the pool that settings and options ask for.

    Raises:
        KafkaSettingsError: They ask for what can't be.
    """
    brokers = brokers_of(settings, options["bootstrap"].split(","))
    try:
        route = import_string(settings.kafka_route)
    except ImportError as error:
        raise KafkaSettingsError(f"REALTIME['KAFKA_ROUTE']: {error}") from error
    if not callable(route):
        raise KafkaSettingsError(f"REALTIME['KAFKA_ROUTE']: {settings.kafka_route} is no function.")
    return Pool(
        brokers=brokers,
        topics=options["topics"],
        group=options["group"],
        consumers=options["consumers"],
        auto_offset_reset=options["auto_offset_reset"],
        route=route,
        layer=layer,
        limits=Limits(
            payload=layer.options.max_message_size,
            unpacked=settings.kafka_max_unpacked,
            letter=settings.kafka_max_dead_letter,
            rooms=settings.kafka_max_rooms,
            route_time=settings.kafka_route_timeout,
        ),
        isolation=settings.kafka_isolation,
        dead_letter_suffix=settings.kafka_dead_letter_suffix,
        instance=options["instance_id"],
        terminal=sys.stdout if sys.stdout.isatty() else None,
        options=settings.kafka_consumer_options,
    )
