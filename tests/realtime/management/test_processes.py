"""runkafka and demofeed as processes: started before all that they need, and stopped."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from realtime.embedded import EmbeddedTansu, EmbeddedValkey, free_port
from realtime.layers import sharded_layer
from shardlayer import ShardedChannelLayer
from tests.realtime.conftest import channel_layers
from tests.realtime.process import Process, manage

pytestmark = pytest.mark.kafka


class World:
    """A Redis and a Kafka that are not up yet, and processes that expect them."""

    def __init__(self, directory: Path) -> None:
        self.redis = EmbeddedValkey(directory=directory / "redis", port=free_port())
        self.kafka = EmbeddedTansu(directory=directory / "kafka", port=free_port())
        self._directory = directory

    def run(self, command: str, *arguments: str) -> Process:
        """Return a management command's process, not started."""
        return Process(
            manage(command, *arguments),
            log=self._directory / f"{command}.log",
            DATABASE_URL=f"sqlite:///{self._directory}/db.sqlite3",
            REDIS_URL=f"redis://{self.redis.address}",
            KAFKA_BOOTSTRAP_SERVERS=self.kafka.address,
            KAFKA_SESSION_TIMEOUT_MS="1000",
        )


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A world of this test's own."""
    found = World(tmp_path)
    yield found
    found.redis.stop()
    found.kafka.stop()


@asynccontextmanager
async def layer_of(world: World, settings: Settings) -> AsyncIterator[ShardedChannelLayer]:
    """The layer that the processes work on, in this one."""
    settings.CHANNEL_LAYERS = channel_layers(hosts=[world.redis.url])
    layer = sharded_layer()
    try:
        yield layer
    finally:
        await layer.close()


async def figures(layer: ShardedChannelLayer, room: str, count: int) -> list[dict[str, Any]]:
    """Wait until so many figures were published to a room, and return them."""
    async with asyncio.timeout(20):
        while True:
            history = await layer.history(room)
            if len(history) >= count:
                return [json.loads(item.data) for item in history]
            await asyncio.sleep(0.05)


async def test_machine_figures_reach_the_rooms(world: World, settings: Settings) -> None:
    """Pool and feed wait for what is away, each with a line; then figures flow; both end well."""
    with world.run("runkafka", "--consumers", "2") as pool, world.run("demofeed") as feed:
        pool.says("Redis is not available")
        feed.says(f"Kafka at {world.kafka.address} is not available")
        world.redis.start()
        pool.says("Redis is back")
        pool.says(f"Kafka at {world.kafka.address} is not available")
        world.kafka.start()
        feed.says("Writing this machine's figures to the topic events.")
        async with layer_of(world, settings) as layer:
            cpu = await figures(layer, "machine.cpu", 10)
            disk = await figures(layer, "machine.disk", 1)
            await figures(layer, "machine.memory", 1)
            await figures(layer, "machine.network", 1)
        times = [figure["t"] for figure in cpu]
        assert times == sorted(times)
        assert set(disk[0]) == {"t", "read", "written"}
        assert feed.stop(signal.SIGINT) == 0
        assert pool.stop(signal.SIGTERM) == 0
        assert "Traceback" not in pool.output() + feed.output()


def test_ends_while_it_waits(world: World) -> None:
    """A pool and a feed that still wait end at once when told to."""
    with world.run("runkafka") as pool, world.run("demofeed") as feed:
        pool.says("Redis is not available")
        feed.says("is not available")
        assert pool.stop() == 0
        assert feed.stop() == 0


async def test_pool_ends_while_redis_is_away(world: World, settings: Settings) -> None:
    """A pool whose Redis died under it says so, and ends in order when told to."""
    world.redis.start()
    world.kafka.start()
    with world.run("demofeed"), world.run("runkafka") as pool:
        async with layer_of(world, settings) as layer:
            await figures(layer, "machine.cpu", 1)
        world.redis.stop()
        pool.says("Redis is not available")
        assert pool.stop() == 0
        assert "Traceback" not in pool.output()
