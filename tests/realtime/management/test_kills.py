"""`runkafka` killed at random moments: every record is published once, in order."""

from __future__ import annotations

import asyncio
import random
import signal
from functools import partial
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from pytest_django import Settings

from demo.embedded import EmbeddedTansu
from realtime.kafka.brokers import Brokers
from shardlayer import ShardedChannelLayer
from tests.apache_kafka import ApacheKafka
from tests.realtime.kafka.numbered import PARTITIONS
from tests.realtime.management.world import World, layer_of
from tests.realtime.process import Process
from tests.waiting import until

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(300)]

RECORDS = 5_000
ROOMS = 40  # each remembers all of its records
KILLS = 4
PORTION = RECORDS // KILLS
PATIENCE = 100.0  # seconds; the embedded broker is slow to give up a member that vanished


async def produce(brokers: Brokers, topic: str, numbers: range) -> None:
    """Write numbered records, each room's into one partition."""
    async with AIOKafkaProducer(**brokers.arguments()) as producer:
        for number in numbers:
            room = f"room.{number % ROOMS}"
            await producer.send(
                topic, b"%d" % number, partition=number % ROOMS % PARTITIONS, key=room.encode()
            )
        await producer.flush()


async def published(layer: ShardedChannelLayer) -> dict[int, list[int]]:
    """Return what each room's history holds."""
    return {
        room: [int(item.data) for item in await layer.history(f"room.{room}")]
        for room in range(ROOMS)
    }


async def holds(layer: ShardedChannelLayer, count: int) -> bool:
    """Say whether so many records were published at least."""
    return sum(map(len, (await published(layer)).values())) >= count


async def test_killed_at_random_moments(
    tmp_path: Path, any_kafka: EmbeddedTansu | ApacheKafka, settings: Settings
) -> None:
    """kill -9 in the middle of each portion; the next pool neither loses nor repeats."""
    seed = random.randrange(2**32)
    print("seed", seed)  # noqa: T201 (pytest shows it when the test fails)
    chance = random.Random(seed)
    world = World(tmp_path, any_kafka)
    topic = f"killed-{seed}"
    await asyncio.to_thread(any_kafka.create_topic, topic, partitions=PARTITIONS)
    world.redis.start()
    run = ("runkafka", "--consumers", "2", "--topics", topic, "--group", topic)
    try:
        async with layer_of(world, settings) as layer:
            for turn in range(KILLS):
                with world.run(*run) as pool:
                    start = turn * PORTION
                    producing = asyncio.create_task(
                        produce(world.brokers, topic, range(start, start + PORTION))
                    )
                    enough = start + chance.randrange(1, PORTION)
                    await until(partial(holds, layer, enough), PATIENCE)
                    assert pool.stop(signal.SIGKILL) == -signal.SIGKILL
                    await producing
            with world.run(*run) as pool:
                await until(partial(_reads, pool), PATIENCE)
                await until(partial(holds, layer, RECORDS), PATIENCE)
                assert await asyncio.to_thread(pool.stop) == 0
                assert "Traceback" not in pool.output()
            for room, numbers in (await published(layer)).items():
                assert numbers == list(range(room, RECORDS, ROOMS))
    finally:
        world.redis.stop()


async def test_frozen_pool_comes_back(
    tmp_path: Path, any_kafka: EmbeddedTansu | ApacheKafka, settings: Settings
) -> None:
    """A pool that froze past its session publishes nothing that its successor has published."""
    world = World(tmp_path, any_kafka)
    topic = f"frozen-{random.randrange(2**32)}"
    await asyncio.to_thread(any_kafka.create_topic, topic, partitions=PARTITIONS)
    world.redis.start()
    run = ("runkafka", "--topics", topic, "--group", topic)
    try:
        async with layer_of(world, settings) as layer:
            with world.run(*run) as frozen, world.run(*run) as other:
                for pool in (frozen, other):
                    await until(partial(_reads, pool), PATIENCE)
                producing = asyncio.create_task(produce(world.brokers, topic, range(RECORDS)))
                await until(partial(holds, layer, 100), PATIENCE)
                frozen.send(signal.SIGSTOP)
                await producing
                await until(partial(holds, layer, RECORDS), PATIENCE)
                frozen.send(signal.SIGCONT)
                more = range(RECORDS, RECORDS + PORTION)
                await produce(world.brokers, topic, more)
                await until(partial(holds, layer, more.stop), PATIENCE)
                for pool in (frozen, other):
                    assert await asyncio.to_thread(pool.stop) == 0
                    assert "Traceback" not in pool.output()
            for room, numbers in (await published(layer)).items():
                assert numbers == list(range(room, more.stop, ROOMS))
    finally:
        world.redis.stop()


def _reads(pool: Process) -> bool:
    return "partition(s)" in pool.output()
