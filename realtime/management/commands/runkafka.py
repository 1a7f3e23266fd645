"""`manage.py runkafka`: the Kafka pool."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError, CommandParser

from realtime.conf import conf
from realtime.management.arguments import count
from realtime.management.extras import command_extra
from realtime.management.lasting_command import LastingCommand
from realtime.metrics.metric_sources import Process
from realtime.metrics.sampling import start_sampling, stop_sampling
from realtime.nodes.reporter import start_reports, stop_reports
from realtime.process_events import told_as_running
from realtime.sharded_layer import sharded_layer
from realtime.waiting import wait_for_redis
from shardlayer import GC_THRESHOLD, ShardedChannelLayer, run_until_stopped, spare_collections

if TYPE_CHECKING:
    from realtime.kafka.pool import Pool


class Command(LastingCommand):
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
            help="The topics to read (default: %(default)s).",
        )
        parser.add_argument(
            "--bootstrap",
            default=",".join(settings.kafka_bootstrap_servers),
            metavar="HOST:PORT,…",
            help="The brokers to connect to first; they name the others (default: %(default)s).",
        )
        parser.add_argument(
            "--from",
            dest="auto_offset_reset",
            choices=("earliest", "latest"),
            default=settings.kafka_auto_offset_reset,
            help="Where a group starts that has not committed anything yet (default: %(default)s).",
        )

        parser.add_argument(
            "--instance-id",
            metavar="NAME",
            help="A name that only this process has, and has again after a restart. Its consumers "
            "keep their partitions if they are back within the session timeout.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the pool."""
        with command_extra("kafka"):
            from realtime.kafka.brokers import KafkaSettingsError
            from realtime.kafka.configured import configured_pool
        try:
            # Records come in thousands, and leave no cycles.
            with spare_collections(GC_THRESHOLD):
                run_until_stopped(
                    lambda stop: _run(stop, lambda layer: configured_pool(conf(), layer, options))
                )
        except KafkaSettingsError as error:
            raise CommandError(str(error)) from error


async def _run(stop: asyncio.Event, pool_on: Callable[[ShardedChannelLayer], Pool]) -> None:
    layer = sharded_layer()
    layer.use_running_loop()
    try:
        pool = pool_on(layer)
        process = Process(role="pool", layer=layer, pool=pool)
        start_sampling(process)
        start_reports(process)
        with told_as_running("pool"):
            if await wait_for_redis(layer, stop=stop):
                await pool.run(stop)
    finally:
        await stop_reports()
        await layer.close()
        stop_sampling()
