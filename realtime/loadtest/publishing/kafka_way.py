"""Publishes as an application does that writes to Kafka: the deployment's pool reads it there."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from realtime.loadtest.publishing.publishing_ways import Item, PublishingWay


class KafkaWay(PublishingWay):
    """A producer, whose records the deployment's pool publishes.

    Args:
        topic: Where the records go; the pool must read it.
        bootstrap: The brokers, host:port.
    """

    def __init__(self, topic: str, bootstrap: Sequence[str]) -> None:
        self._topic = topic
        self._bootstrap = bootstrap
        self._producer: AIOKafkaProducer | None = None

    async def start(self) -> None:
        """Connect; a broker that takes no idempotent producer has an ordinary one.

        Of that, a record that is sent again after a timeout may come twice.
        """
        try:
            await self._start(idempotent=True)
        except KafkaError:
            await self.aclose()
            await self._start(idempotent=False)

    async def _start(self, *, idempotent: bool) -> None:
        self._producer = AIOKafkaProducer(
            bootstrap_servers=list(self._bootstrap), enable_idempotence=idempotent, linger_ms=0
        )
        await self._producer.start()
        # The broker is asked for the number of an idempotent producer with its first record.
        await self.publish([("loadtest.nobody", b"{}")])

    async def publish(self, items: Sequence[Item]) -> None:
        """Produce, and wait until the brokers have them."""
        if self._producer is None:
            raise RuntimeError("start comes first")
        sent = [
            await self._producer.send(
                self._topic, data, key=room.encode(), headers=[("room", room.encode())]
            )
            for room, data in items
        ]
        await asyncio.gather(*sent)

    async def aclose(self) -> None:
        """Disconnect."""
        if self._producer is not None:
            await self._producer.stop()
