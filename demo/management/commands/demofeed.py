"""`manage.py demofeed`: the demo's input."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from demo.feed.feed import run_feed
from realtime.conf import conf
from realtime.kafka.brokers import KafkaSettingsError, brokers_of
from shardlayer import run_until_stopped


class Command(BaseCommand):
    """Runs until SIGTERM or SIGINT."""

    help = (
        "Write this machine's CPU, memory, network and disk figures to Kafka, ten times a second."
    )
    requires_system_checks: list[str] = []  # they look at Redis, which the feed does not use

    def handle(self, *args: Any, **options: Any) -> None:
        """Write to the first of the topics that the pool reads."""
        settings = conf()
        try:
            brokers = brokers_of(settings)
        except KafkaSettingsError as error:
            raise CommandError(str(error)) from error
        run_until_stopped(lambda stop: run_feed(brokers, settings.kafka_topics[0], stop=stop))
