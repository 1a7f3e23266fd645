"""Sending letters to their topics again, together with the note that they were sent.

Apache Kafka does both in one transaction: either the records are there for everybody who reads
what is committed and the letters count as sent, or neither. The transaction's id belongs to the
group, so of two replays at once the later one goes on, and the other ends with an error.

The broker of development has no transactions. There the note is written behind the records, and
can only be of letters in their order.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import (
    IncompatibleBrokerVersion,
    KafkaError,
    UnknownError,
    UnsupportedVersionError,
)

from realtime.kafka.brokers import Brokers, start_client
from realtime.kafka.deadletters import Letter
from realtime.kafka.letters.sent_offsets import CannotNote, SentOffsets
from realtime.kafka.reading.closing import close_producer
from shardlayer import take_note

logger = logging.getLogger(__name__)

# How a broker says that it has none; the one of development knows the request, and fails.
NO_TRANSACTIONS = (IncompatibleBrokerVersion, UnsupportedVersionError, UnknownError)

TRANSACTION_TIMEOUT = 10_000  # milliseconds; then the broker gives up one whose replay was killed
ABORT_GRACE = 2.0  # seconds
CLOSE_GRACE = 1.0  # seconds


class OnlyInOrder(CannotNote):
    """This broker can't note that a letter was sent before those in front of it: send all of them.

    The broker of development keeps no text beside an offset.
    """

    def __str__(self) -> str:
        return str(self.__doc__).partition("\n")[0]


class LetterSender:
    """Sends letters again.

    Args:
        producer: It is started.
        group: The consumer group that keeps what was sent.
        consumer: Commits for the group, where the broker has no transactions; else None.
    """

    def __init__(
        self, producer: AIOKafkaProducer, *, group: str, consumer: AIOKafkaConsumer | None
    ) -> None:
        self._producer = producer
        self._group = group
        self._consumer = consumer

    async def send(
        self, letters: Sequence[Letter], sent: Mapping[TopicPartition, SentOffsets]
    ) -> None:
        """Send letters, and note what was sent of their partitions then.

        A letter becomes the record that it was, without the headers that were added, in the
        partition it came from.

        Raises:
            CannotNote: Nothing was sent, since Kafka can't note that it was.
            KafkaError: Kafka does not answer, or another replay has begun (ProducerFenced).
        """
        offsets = {key: (each.below, each.text) for key, each in sent.items()}
        if self._consumer is not None:
            if any(text for _, text in offsets.values()):
                raise OnlyInOrder
            await self._write(letters)
            await self._consumer.commit(offsets)
            return
        await self._producer.begin_transaction()
        try:
            await self._write(letters)
            await self._producer.send_offsets_to_transaction(offsets, self._group)
        except (Exception, asyncio.CancelledError):
            await self._abort()
            raise
        await self._producer.commit_transaction()

    async def _write(self, letters: Sequence[Letter]) -> None:
        acknowledged = []
        for letter in letters:
            partitions = await self._producer.partitions_for(letter.topic)
            sent = await self._producer.send(
                letter.topic,
                letter.value,
                key=letter.key,
                partition=letter.partition if letter.partition in partitions else None,
                headers=list(letter.headers),
            )
            sent.add_done_callback(take_note)  # nobody waits for it if a later one can't leave
            acknowledged.append(sent)
        results = await asyncio.gather(*acknowledged, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def _abort(self) -> None:
        try:
            async with asyncio.timeout(ABORT_GRACE):
                await self._producer.abort_transaction()
        except (TimeoutError, KafkaError, AssertionError):
            # The broker does it after TRANSACTION_TIMEOUT, or has done it for another replay;
            # aiokafka has an assertion where there is no way back.
            pass


@asynccontextmanager
async def letter_sender(
    brokers: Brokers, *, group: str, consumer: AIOKafkaConsumer, limit: int
) -> AsyncIterator[LetterSender]:
    """Run what sends letters again; a replay before this one can't send any more then.

    Args:
        brokers: Where Kafka is.
        group: The consumer group that keeps what was sent.
        consumer: Of that group, with the partitions of the letters.
        limit: Bytes of a letter, at most.

    Raises:
        OSError, KafkaError: Kafka does not answer, or does not allow it.
    """
    options = {**brokers.arguments(), "max_request_size": limit, "acks": "all"}
    try:
        producer = await _started(options, transactional_id=group)
        consumer_that_commits = None
    except NO_TRANSACTIONS as error:
        logger.warning(
            "%s has no transactions (%s): a replay that is killed may have sent letters that the "
            "next sends again.",
            *(brokers, type(error).__name__),
        )
        producer = await _started(options)
        consumer_that_commits = consumer
    try:
        yield LetterSender(producer, group=group, consumer=consumer_that_commits)
    finally:
        await close_producer(producer, grace=CLOSE_GRACE)


async def _started(
    options: Mapping[str, Any], *, transactional_id: str | None = None
) -> AIOKafkaProducer:
    """Return a producer that runs."""
    if transactional_id is not None:
        options = {
            **options,
            "transactional_id": transactional_id,
            "transaction_timeout_ms": TRANSACTION_TIMEOUT,
        }
    producer = AIOKafkaProducer(**options)
    try:
        await start_client(producer)
    except BaseException:
        await close_producer(producer, grace=CLOSE_GRACE)
        raise
    return producer
