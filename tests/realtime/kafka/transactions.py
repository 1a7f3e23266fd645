"""Transactions: written to Kafka, and committed or aborted."""

from __future__ import annotations

from uuid import uuid4

from aiokafka import AIOKafkaProducer

from realtime.kafka.brokers import Brokers


class Aborted(Exception):
    """Ends a transaction."""


async def write(brokers: Brokers, topic: str, *values: bytes, abort: bool = False) -> None:
    """Write a transaction to partition 0, for room a."""
    arguments = brokers.arguments()
    async with AIOKafkaProducer(**arguments, transactional_id=f"t-{uuid4().hex}") as producer:
        try:
            async with producer.transaction():
                for value in values:
                    await producer.send_and_wait(topic, value, key=b"a", partition=0)
                if abort:
                    raise Aborted
        except Aborted:
            pass
