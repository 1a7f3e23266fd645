"""Numbered records: written to Kafka, and looked for in the rooms."""

from __future__ import annotations

import asyncio
from collections import defaultdict

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from realtime.kafka.brokers import Brokers
from shardlayer import ShardedChannelLayer
from tests.waiting import PATIENCE

PARTITIONS = 8
ROOMS = 10


async def produce(
    brokers: Brokers, topic: str, start: int, count: int, *, partitions: int = PARTITIONS
) -> None:
    """Write numbered records, each room in a partition of its own choice, in order."""
    async with AIOKafkaProducer(**brokers.arguments()) as producer:
        for number in range(start, start + count):
            room = f"room.{number % ROOMS}"
            await producer.send(
                topic,
                b'{"n": %d}' % number,
                partition=number % ROOMS % partitions,
                headers=[("room", room.encode())],
            )
        await producer.flush()


async def trickle(brokers: Brokers, topic: str, start: int, end: int) -> None:
    """Write numbered records over some seconds."""
    for number in range(start, end, 10):
        await produce(brokers, topic, number, min(10, end - number))
        await asyncio.sleep(0.1)


async def published(layer: ShardedChannelLayer) -> dict[str, list[bytes]]:
    """Return what every room's history holds."""
    found: dict[str, list[bytes]] = defaultdict(list)
    for number in range(ROOMS):
        room = f"room.{number}"
        found[room] = [item.data for item in await layer.history(room)]
    return found


def expected(count: int) -> dict[str, list[bytes]]:
    """Return what should be published of so many records: each once, in order."""
    found: dict[str, list[bytes]] = defaultdict(list)
    for number in range(count):
        found[f"room.{number % ROOMS}"].append(b'{"n": %d}' % number)
    return found


def without_repeats(found: dict[str, list[bytes]]) -> dict[str, list[bytes]]:
    """Return each room's records where they came first."""
    return {room: list(dict.fromkeys(records)) for room, records in found.items()}


async def arrived(layer: ShardedChannelLayer, count: int) -> None:
    """Wait until so many different records are published."""
    async with asyncio.timeout(PATIENCE):
        while True:
            found = without_repeats(await published(layer))
            if sum(map(len, found.values())) >= count:
                return
            await asyncio.sleep(0.05)


async def committed(brokers: Brokers, topic: str, group: str) -> int:
    """Return how many records the group has committed."""
    async with AIOKafkaConsumer(
        **brokers.arguments(), group_id=group, enable_auto_commit=False
    ) as consumer:
        partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
        return sum([await consumer.committed(partition) or 0 for partition in partitions])
