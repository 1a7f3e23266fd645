"""Writing dead letters to their topics."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Sequence
from dataclasses import replace

from aiokafka import AIOKafkaProducer
from aiokafka.errors import MessageSizeTooLargeError

from realtime.kafka.letters import Letter
from realtime.kafka.source import Brokers, make_topic

logger = logging.getLogger(__name__)

MAX_LETTER = 64 * 1024 * 1024  # bytes: whatever a topic may hold, and its added headers
CLOSE_GRACE = 1.0  # seconds that the producer may take to end


class DeadLetters:
    """Writes letters to `<topic><suffix>`, each topic made when it is first needed.

    A letter lies in the partition of the number that its record's has, so each partition's letters
    are in order. One that was written just before a crash is written again: letters are there at
    least once.

    Args:
        brokers: Where Kafka is.
        suffix: What a topic's name gets for that of its letters.
    """

    def __init__(self, brokers: Brokers, *, suffix: str) -> None:
        self._brokers = brokers
        self._suffix = suffix
        self._starting = asyncio.Lock()
        self._producer: AIOKafkaProducer | None = None
        self._partitions: dict[str, int] = {}  # of the letters' topics that are known to exist

    async def write(self, letters: Sequence[Letter]) -> None:
        """Write letters in order and return when all are acknowledged.

        Raises:
            KafkaError: Kafka does not answer or does not allow it; some may be written.
        """
        producer = await self._started()
        acknowledged = [await self._send(producer, letter) for letter in letters]
        results = await asyncio.gather(*acknowledged, return_exceptions=True)
        for letter, result in zip(letters, results, strict=True):
            if isinstance(result, MessageSizeTooLargeError):
                await self._send_without_payload(producer, letter)
            elif isinstance(result, BaseException):
                raise result

    async def aclose(self) -> None:
        """Close the producer; what it has not written by then is in nobody's commit."""
        if self._producer is not None:
            stopping = asyncio.ensure_future(self._producer.stop())
            done, _ = await asyncio.wait([stopping], timeout=CLOSE_GRACE)
            if not done:
                stopping.cancel()
                await asyncio.wait([stopping])

    async def _started(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    **self._brokers.arguments(), acks="all", max_request_size=MAX_LETTER
                )
                try:
                    await producer.start()
                except BaseException:
                    await producer.stop()
                    raise
                self._producer = producer
            return self._producer

    async def _send(self, producer: AIOKafkaProducer, letter: Letter) -> Awaitable[object]:
        """Hand a letter to the producer; what is returned ends when it is acknowledged."""
        topic = letter.topic + self._suffix
        if topic not in self._partitions:
            self._partitions[topic] = await self._make(producer, letter.topic, topic)
        acknowledged: Awaitable[object] = await producer.send(
            topic,
            # aiokafka writes no record without key and payload.
            b"" if letter.key is None and letter.value is None else letter.value,
            key=letter.key,
            partition=letter.partition % self._partitions[topic],
            headers=letter.all_headers(),
        )
        return acknowledged

    async def _make(self, producer: AIOKafkaProducer, original: str, topic: str) -> int:
        count = len(await producer.partitions_for(original))
        configs = {"max.message.bytes": str(MAX_LETTER)}
        await make_topic(self._brokers, topic, partitions=count, configs=configs)
        return len(await producer.partitions_for(topic))

    async def _send_without_payload(self, producer: AIOKafkaProducer, letter: Letter) -> None:
        """Keep at least why and where: a topic that somebody else made takes less than ours."""
        logger.warning(
            "The dead letter of %s/%d offset %d is too large for its topic: kept without payload.",
            *(letter.topic, letter.partition, letter.offset),
        )
        error = f"{letter.error} (payload left out: too large)"
        await (await self._send(producer, replace(letter, value=b"", error=error)))
