"""Servers that processes of the project need, and the processes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

from pytest_django import Settings

from demo.embedded import EmbeddedTansu, EmbeddedValkey, free_port
from realtime.kafka.brokers import Brokers
from realtime.sharded_layer import sharded_layer
from shardlayer import ShardedChannelLayer
from tests.apache_kafka import ApacheKafka
from tests.realtime.conftest import channel_layers
from tests.realtime.process import Process, manage


class World:
    """A Redis and a Kafka that are not up yet, and processes that expect them."""

    def __init__(self, directory: Path, kafka: EmbeddedTansu | ApacheKafka) -> None:
        self.redis = EmbeddedValkey(directory=directory / "redis", port=free_port())
        self.kafka = kafka
        self._directory = directory

    @property
    def brokers(self) -> Brokers:
        """Where its Kafka is."""
        return Brokers(servers=[self.kafka.address], options={})

    def run(self, command: str, *arguments: str) -> Process:
        """Return a management command's process, not started."""
        return Process(
            manage(command, *arguments),
            log=self._directory / f"{command}-{uuid4().hex[:6]}.log",
            DATABASE_URL=f"sqlite:///{self._directory}/db.sqlite3",
            REDIS_URL=f"redis://{self.redis.address}",
            KAFKA_BOOTSTRAP_SERVERS=self.kafka.address,
            KAFKA_SESSION_TIMEOUT_MS="3000",  # on a busy machine one of 1 s is not kept
        )


@asynccontextmanager
async def layer_of(world: World, settings: Settings) -> AsyncIterator[ShardedChannelLayer]:
    """The layer that the processes work on, in this one."""
    settings.CHANNEL_LAYERS = channel_layers(hosts=[world.redis.url])
    layer = sharded_layer()
    try:
        yield layer
    finally:
        await layer.close()
