"""Bad records: written to Kafka, and what became of them."""

from __future__ import annotations

import asyncio

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.structs import ConsumerRecord

from realtime.kafka.brokers import Brokers, topics_of
from tests.waiting import PATIENCE


async def write_bad(brokers: Brokers, topic: str, *, start: int, count: int) -> None:
    """Write records that are not JSON, in turn to partition 0 and 1."""
    async with AIOKafkaProducer(**brokers.arguments()) as producer:
        for number in range(start, start + count):
            await producer.send_and_wait(
                topic,
                b"bad %d" % number,
                partition=number % 2,
                key=b"room.0",
                headers=[("trace", b"t%d" % number)],
            )


async def records_in(brokers: Brokers, topic: str, count: int) -> dict[int, list[ConsumerRecord]]:
    """Wait until a topic has so many records; return those of each partition in order."""
    found: dict[int, list[ConsumerRecord]] = {}
    async with asyncio.timeout(PATIENCE):
        known = await topics_of(brokers)
        while topic not in known:
            await asyncio.sleep(0.05)
            known = await topics_of(brokers)
        async with AIOKafkaConsumer(
            **brokers.arguments(), auto_offset_reset="earliest", fetch_max_wait_ms=50
        ) as consumer:
            consumer.assign([TopicPartition(topic, number) for number in known[topic]])
            while sum(map(len, found.values())) < count:
                for partition, records in (await consumer.getmany(timeout_ms=100)).items():
                    found.setdefault(partition.partition, []).extend(records)
    return found
