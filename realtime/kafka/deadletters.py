"""Dead letters: records that could not be published, kept in a topic beside their own.

A letter is the record as it came - key, value, headers - with headers behind its own that say why
and where from.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import MessageSizeTooLargeError, RecordListTooLargeError
from aiokafka.structs import ConsumerRecord

from realtime.kafka.brokers import Brokers, make_topic, start_client
from realtime.kafka.reading.closing import close_producer
from realtime.kafka.reading.record_format import raw_parts
from shardlayer import take_note

logger = logging.getLogger(__name__)

Headers = Sequence[tuple[str, bytes | None]]

CLOSE_GRACE = 1.0  # seconds that the producer may take to end
TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)

# Behind the record's own, in this order; the record may have headers of these names too.
ADDED = ("error", "topic", "partition", "offset")
MAX_ERROR = 1_000  # characters
SHORT_ERROR = 100  # characters, of a letter that is too large for its topic


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A record that could not be published, and why.

    Attributes:
        topic: Where the record is.
        partition: The record's.
        offset: The record's.
        error: Why it could not be published.
        key: As it came, whatever a decoder of the project made of it.
        value: Likewise.
        headers: As they came, without those that were added.
    """

    topic: str
    partition: int
    offset: int
    error: str
    key: bytes | None
    value: bytes | None
    headers: Headers

    @classmethod
    def about(cls, record: Any, error: Exception) -> Letter:
        """Return the letter for a record: a ReadRecord, or an UnreadRecord."""
        key, value = raw_parts(record)
        return cls(
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            error=str(error)[:MAX_ERROR],
            key=key,
            value=value,
            headers=tuple(record.headers),
        )

    @classmethod
    def read(cls, record: ConsumerRecord) -> Letter:
        """Return the letter that a record of a dead letter topic is.

        Raises:
            ValueError: It is none: somebody else wrote it.
        """
        own, added = record.headers[: -len(ADDED)], record.headers[-len(ADDED) :]
        if tuple(name for name, _ in added) != ADDED:
            raise ValueError(f"no dead letter: it does not end with the headers {ADDED}")
        error, topic, partition, offset = ((value or b"").decode() for _, value in added)
        return cls(
            topic=topic,
            partition=int(partition),
            offset=int(offset),
            error=error,
            key=record.key,
            value=record.value,
            headers=tuple(own),
        )

    def without_payload(self) -> Letter:
        """Return it as one that says that its payload is left out."""
        return replace(self, value=b"", error=f"{self.error} (payload left out: too large)")

    def bare(self) -> Letter:
        """Return just where the record is, and why."""
        left_out = f"{self.error[:SHORT_ERROR]} (all else left out: too large)"
        return replace(self, key=None, value=b"", headers=(), error=left_out)

    def all_headers(self) -> list[tuple[str, bytes | None]]:
        """Return the headers that it has in its own topic."""
        error = self.error.encode(errors="backslashreplace")  # half a surrogate pair, say
        values = (error.decode(), self.topic, str(self.partition), str(self.offset))
        added = zip(ADDED, (value.encode() for value in values), strict=True)
        return [*self.headers, *added]


class DeadLetters:
    """Writes letters to `<topic><suffix>`, each topic made when it is first needed.

    A letter lies in the partition of the number that its record's has, so each partition's letters
    are in order, but for those that a topic first refuses. One that was written just before a
    crash is written again: letters are there at least once.

    A letter that is too large is written without its payload; if even then, as where the record
    was and why. A topic that does not take that is waited for.

    Args:
        brokers: Where Kafka is.
        suffix: What a topic's name gets for that of its letters.
        limit: Bytes of a letter, at most; what the topics that it makes take.
    """

    def __init__(self, brokers: Brokers, *, suffix: str, limit: int) -> None:
        self._limit = limit
        self._brokers = brokers
        self._suffix = suffix
        self._starting = asyncio.Lock()
        self._producer: AIOKafkaProducer | None = None
        self._made: set[str] = set()  # the letters' topics that are known to exist

    async def write(self, letters: Sequence[Letter]) -> None:
        """Write letters in order and return when all are acknowledged.

        Raises:
            KafkaError: Kafka does not answer or does not allow it; some may be written.
        """
        try:
            await self._write(letters)
        except BaseException:
            self._made.clear()  # one of them may be gone
            raise

    async def aclose(self) -> None:
        """Close the producer; what it has not written by then is in nobody's commit."""
        if self._producer is not None:
            await close_producer(self._producer, grace=CLOSE_GRACE)

    async def _write(self, letters: Sequence[Letter]) -> None:
        producer = await self._started()
        sent = [await self._send(producer, letter) for letter in letters]
        results = await asyncio.gather(*sent, return_exceptions=True)
        for letter, result in zip(letters, results, strict=True):
            if isinstance(result, TOO_LARGE):
                await self._insist(producer, letter)
            elif isinstance(result, BaseException):
                raise result

    async def _started(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    **self._brokers.arguments(), acks="all", max_request_size=self._limit
                )
                try:
                    await start_client(producer)
                except BaseException:
                    await producer.stop()
                    raise
                self._producer = producer
            return self._producer

    async def _send(self, producer: AIOKafkaProducer, letter: Letter) -> asyncio.Future[object]:
        """Hand a letter to the producer; what is returned ends when it is acknowledged."""
        topic = letter.topic + self._suffix
        if topic not in self._made:
            await self._make(producer, letter.topic, topic)
            self._made.add(topic)
        # Asked each time: somebody may have removed the topic, and made it with fewer partitions.
        count = len(await producer.partitions_for(topic))
        try:
            acknowledged: asyncio.Future[object] = await producer.send(
                topic,
                # aiokafka writes no record without key and payload.
                b"" if letter.key is None and letter.value is None else letter.value,
                key=letter.key,
                partition=letter.partition % count,
                headers=letter.all_headers(),
            )
        except MessageSizeTooLargeError as error:  # it does not even leave
            acknowledged = asyncio.get_running_loop().create_future()
            acknowledged.set_exception(error)
        acknowledged.add_done_callback(take_note)  # nobody waits for it if a later one can't leave
        return acknowledged

    async def _insist(self, producer: AIOKafkaProducer, letter: Letter) -> None:
        """Write a letter that was too large: by itself, then with less and less of it.

        It may have been too large only together with others, which are sent as one.

        Raises:
            KafkaError: The topic does not take even that.
        """
        forms = (letter, letter.without_payload(), letter.bare())
        for form in forms[:-1]:
            try:
                await (await self._send(producer, form))
            except TOO_LARGE:
                continue
            break
        else:
            form = forms[-1]
            await (await self._send(producer, form))
        if form.value != letter.value:
            logger.warning(
                "The dead letter of %s/%d offset %d is too large for its topic: kept without "
                "payload.",
                *(letter.topic, letter.partition, letter.offset),
            )

    async def _make(self, producer: AIOKafkaProducer, original: str, topic: str) -> None:
        count = len(await producer.partitions_for(original))
        configs = {"max.message.bytes": str(self._limit)}
        await make_topic(self._brokers, topic, partitions=count, configs=configs)
