"""The producer: what it writes, the pool brings to the rooms."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiokafka import AIOKafkaProducer

from benchmarks.faults.sources.base import Message

_PATIENCE = 60_000  # milliseconds; longer than any fault, so that aiokafka doesn't give up a record


class KafkaSource:
    """See benchmarks.faults.sources.base.Source.

    Args:
        servers: The broker's address.
        topic: Where the records go; a room is a record's key.
        idempotent: Whether the broker can tell a record that is sent again.
    """

    def __init__(self, *, servers: str, topic: str, idempotent: bool) -> None:
        self._topic = topic
        self._producer = AIOKafkaProducer(
            bootstrap_servers=servers,
            acks="all",
            enable_idempotence=idempotent,
            request_timeout_ms=_PATIENCE,
            linger_ms=5,
        )

    async def open(self) -> None:
        await self._producer.start()

    async def send(self, messages: Sequence[Message]) -> None:
        await asyncio.gather(
            *(
                self._producer.send_and_wait(self._topic, message.data, key=message.room.encode())
                for message in messages
            )
        )

    async def close(self) -> None:
        await self._producer.stop()
