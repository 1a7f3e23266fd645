"""runkafka and demofeed as processes: started before all that they need, and stopped."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pytest_django import Settings

from demo.embedded import EmbeddedTansu, free_port
from shardlayer import ShardedChannelLayer
from tests.apache_kafka import APACHE, ApacheKafka
from tests.realtime.kafka.numbered import (
    PARTITIONS,
    arrived,
    committed,
    expected,
    published,
    trickle,
)
from tests.realtime.management.world import World, layer_of

pytestmark = [pytest.mark.slow, pytest.mark.kafka]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A world of this test's own."""
    found = World(tmp_path, EmbeddedTansu(directory=tmp_path / "kafka", port=free_port()))
    yield found
    found.redis.kill()  # they have nothing to keep, and a test may have frozen them
    found.kafka.kill()


@pytest.fixture
def apache_world(tmp_path: Path, stoppable_kafka: ApacheKafka) -> Iterator[World]:
    """A world with an Apache Kafka that other tests use again."""
    found = World(tmp_path, stoppable_kafka)
    found.kafka.stop()
    yield found
    found.redis.stop()


@pytest.fixture(
    params=[pytest.param("world", id="tansu"), pytest.param("apache_world", marks=APACHE)]
)
def any_world(request: pytest.FixtureRequest) -> World:
    """A world with each kind of broker in turn."""
    found: World = request.getfixturevalue(request.param)
    return found


async def figures(layer: ShardedChannelLayer, room: str, count: int) -> list[dict[str, Any]]:
    """Wait until so many figures were published to a room, and return them."""
    async with asyncio.timeout(60):
        while True:
            history = await layer.history(room)
            if len(history) >= count:
                return [json.loads(item.data) for item in history]
            await asyncio.sleep(0.05)


async def test_machine_figures_reach_the_rooms(any_world: World, settings: Settings) -> None:
    """Pool and feed wait for what is away, each with a line; then figures flow; both end well."""
    world = any_world
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


@pytest.fixture
def numbered_topic(any_kafka: EmbeddedTansu | ApacheKafka) -> str:
    """The name of a new topic on each kind of broker in turn."""
    name = f"numbered-{uuid4().hex[:8]}"
    any_kafka.create_topic(name, partitions=PARTITIONS)
    return name


async def test_told_to_stop_in_the_middle(
    tmp_path: Path,
    any_kafka: EmbeddedTansu | ApacheKafka,
    numbered_topic: str,
    settings: Settings,
) -> None:
    """SIGTERM under load: what is published is committed, the group is left, the next goes on."""
    world = World(tmp_path, any_kafka)
    topic = numbered_topic
    world.redis.start()
    run = ("runkafka", "--consumers", "2", "--topics", topic, "--group", topic)
    try:
        async with layer_of(world, settings) as layer:
            with world.run(*run) as pool:
                await asyncio.to_thread(pool.says, "Reading 4 partition(s)")
                producing = asyncio.create_task(trickle(world.brokers, topic, 0, 600))
                await arrived(layer, 30)
                assert await asyncio.to_thread(pool.stop) == 0
                assert "Traceback" not in pool.output()
            done = sum(map(len, (await published(layer)).values()))
            assert done < 600
            assert await committed(world.brokers, topic, topic) == done
            with world.run(*run) as pool:
                await producing
                await arrived(layer, 600)
                assert await asyncio.to_thread(pool.stop) == 0
            assert await published(layer) == expected(600)
            assert await committed(world.brokers, topic, topic) == 600
    finally:
        world.redis.stop()


def test_frozen_kafka_is_told_of_and_keeps_nobody(world: World) -> None:
    """A Kafka that takes connections and answers nothing is away; both end although it is."""
    world.redis.start()
    world.kafka.start()
    with world.run("runkafka") as pool, world.run("demofeed") as feed:
        pool.says("Reading 8 partition(s) of events")
        assert world.kafka.pid is not None
        os.kill(world.kafka.pid, signal.SIGSTOP)
        pool.says(f"{world.brokers} is not available")
        feed.says(f"{world.brokers} is not available")
        assert pool.stop() == 0
        assert feed.stop() == 0
        assert "Traceback" not in pool.output() + feed.output()


def test_kafka_that_dies_is_told_of_in_a_line(world: World) -> None:
    """One line each from pool and feed when it goes, one when it is back, and nothing else."""
    world.redis.start()
    world.kafka.start()
    world.kafka.create_topic("events", partitions=8)  # else the pool may say that it waits for it
    with world.run("runkafka") as pool, world.run("demofeed") as feed:
        pool.says("Reading 8 partition(s) of events")
        world.kafka.kill()
        pool.says(f"{world.brokers} is not available")
        feed.says(f"{world.brokers} is not available")
        world.kafka.start()
        pool.says(f"{world.brokers} is back after")
        feed.says(f"{world.brokers} is back after")
        for process in (pool, feed):
            assert process.output().count("is not available") == 1
            assert "aiokafka" not in process.output()


def test_ends_although_all_is_frozen(world: World) -> None:
    """With work in hand that neither Redis nor Kafka takes, it ends within its time."""
    world.redis.start()
    world.kafka.start()
    with world.run("demofeed"), world.run("runkafka") as pool:
        pool.says("Reading 8 partition(s) of events")
        assert world.redis.pid is not None
        assert world.kafka.pid is not None
        os.kill(world.redis.pid, signal.SIGSTOP)
        pool.says("Redis is not available")
        os.kill(world.kafka.pid, signal.SIGSTOP)
        assert pool.stop() == 0
        assert "Traceback" not in pool.output()
        os.kill(world.redis.pid, signal.SIGCONT)
