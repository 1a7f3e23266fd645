"""Reading the topics of dead letters: to show them, and to send them to their topics again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.structs import ConsumerRecord

from realtime.kafka.brokers import Brokers, topics_of
from realtime.kafka.deadletters import Letter
from realtime.kafka.reading.size_limits import Limits

BATCH = 100  # letters that are sent again before it is committed
FETCH_WAIT = 50  # milliseconds that a broker may hold a fetch for which it has nothing
POLL = 100  # milliseconds
PATIENCE = 20.0  # seconds that Kafka may take to send the next records


@dataclass(frozen=True, slots=True, kw_only=True)
class Filed:
    """A record in a topic of dead letters.

    Attributes:
        at: The partition in which it lies.
        offset: Its place there.
        letter: What it is; None: somebody else wrote it.
        record: As it is.
        replayed: Whether it was sent again already.
    """

    at: TopicPartition
    offset: int
    letter: Letter | None
    record: ConsumerRecord
    replayed: bool


@dataclass(slots=True)
class Replayed:
    """What a replay did.

    Attributes:
        sent: Letters sent to their topics again.
        repeats: Letters that were there twice, and sent once.
        strangers: Records that are no dead letters, and were passed over.
        left: Records that wait for another replay.
    """

    sent: int = 0
    repeats: int = 0
    strangers: int = 0
    left: int = 0


class Postbox:
    """The topics of dead letters, as they are when each method begins.

    How far they were sent again is the committed offset of a consumer group of their own. Two
    replays at once would both send.

    Args:
        brokers: Where Kafka is.
        topics: Those whose dead letters are meant.
        suffix: What a topic's name gets for that of its letters.
        group: The pool's consumer group; that of the replays has its name and the suffix.
        limit: Bytes of a letter, at most.
    """

    def __init__(
        self,
        *,
        brokers: Brokers,
        topics: Sequence[str],
        suffix: str,
        group: str,
        limit: int = Limits.letter,
    ) -> None:
        self._limit = limit
        self._brokers = brokers
        self._originals = list(dict.fromkeys(topics))
        self._topics = [topic + suffix for topic in self._originals]
        self._group = group + suffix

    async def letters(self) -> AsyncIterator[Filed]:
        """Yield all dead letters, each partition's in order.

        Raises:
            OSError, KafkaError: Kafka does not answer.
        """
        partitions = await self._partitions()
        if not partitions:
            return
        async with self._consumer() as consumer:
            consumer.assign(partitions)
            replayed = {key: await consumer.committed(key) or 0 for key in partitions}
            await consumer.seek_to_beginning(*partitions)
            async for at, records in _read(consumer, partitions, {}):
                for record in records:
                    yield _filed(at, record, replayed=record.offset < replayed[at])

    async def waiting(self) -> dict[str, int]:
        """Return how many letters of each topic no replay has sent, by the topics' own names.

        Their positions are looked at, and none is read.

        Raises:
            OSError, KafkaError: Kafka does not answer.
        """
        counts = dict.fromkeys(self._originals, 0)
        partitions = await self._partitions()
        if not partitions:
            return counts
        originals = dict(zip(self._topics, self._originals, strict=True))
        async with self._consumer() as consumer:
            consumer.assign(partitions)
            begins = await consumer.beginning_offsets(partitions)
            ends = await consumer.end_offsets(partitions)
            for partition in partitions:
                replayed = await consumer.committed(partition) or 0
                left = ends[partition] - max(begins[partition], replayed)
                counts[originals[partition.topic]] += max(0, left)
        return counts

    async def replay(self, limit: int | None = None) -> Replayed:
        """Send letters to their topics again: those that no replay has sent, at most `limit`.

        A letter becomes the record that it was, without the headers that were added, in the
        partition it came from. What was sent is committed every BATCH letters, so a replay that
        is killed leaves at most so many to be sent twice.

        Raises:
            OSError, KafkaError: Kafka does not answer; what was committed is not sent again.
        """
        done = Replayed()
        seen: set[tuple[str, int, int]] = set()
        ends: dict[TopicPartition, int] = {}
        positions: dict[TopicPartition, int] = {}
        partitions = await self._partitions()
        if not partitions:
            return done
        arguments = self._brokers.arguments() | {"max_request_size": self._limit, "acks": "all"}
        async with self._consumer() as consumer, AIOKafkaProducer(**arguments) as producer:
            consumer.assign(partitions)
            async with aclosing(_read(consumer, partitions, ends)) as batches:
                async for at, records in batches:
                    room = len(records) if limit is None else limit - done.sent
                    taken = [_filed(at, record, replayed=False) for record in records[:room]]
                    await _send(producer, taken, seen, done)
                    if taken:
                        positions[at] = taken[-1].offset + 1
                        await consumer.commit({at: positions[at]})
                    if len(taken) < len(records):
                        break
            for partition in partitions:
                begin = positions.get(partition)
                if begin is None:
                    begin = await consumer.position(partition)
                done.left += max(0, ends.get(partition, 0) - begin)
        return done

    def _consumer(self) -> AIOKafkaConsumer:
        return AIOKafkaConsumer(
            **self._brokers.arguments(),
            group_id=self._group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=FETCH_WAIT,
        )

    async def _partitions(self) -> list[TopicPartition]:
        known = await topics_of(self._brokers)
        return [
            TopicPartition(topic, number)
            for topic in self._topics
            for number in sorted(known.get(topic, ()))
        ]


async def _read(
    consumer: AIOKafkaConsumer,
    partitions: Sequence[TopicPartition],
    ends: dict[TopicPartition, int],
) -> AsyncGenerator[tuple[TopicPartition, list[ConsumerRecord]], None]:
    """Yield what lies between the consumer's positions and the ends that its first fetches show.

    What comes later is left: a letter that fails again must not be read again. `ends` is filled.
    """
    waiting = set(partitions)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE
    while waiting:
        batches: dict[TopicPartition, list[ConsumerRecord]] = await consumer.getmany(
            *waiting, timeout_ms=POLL, max_records=BATCH
        )
        for partition in list(waiting):
            end = ends.get(partition)
            if end is None and (highwater := consumer.highwater(partition)) is not None:
                end = ends[partition] = highwater
            if end is None:
                continue
            records = [each for each in batches.get(partition, ()) if each.offset < end]
            if records:
                yield partition, records
            if await consumer.position(partition) >= end:
                waiting.discard(partition)
            if records or partition not in waiting:
                deadline = loop.time() + PATIENCE
        if loop.time() > deadline:
            raise TimeoutError(f"nothing came from Kafka within {PATIENCE:g} s")


def _filed(at: TopicPartition, record: ConsumerRecord, *, replayed: bool) -> Filed:
    try:
        letter = Letter.read(record)
    except ValueError:
        letter = None
    return Filed(at=at, offset=record.offset, letter=letter, record=record, replayed=replayed)


async def _send(
    producer: AIOKafkaProducer,
    filed: Sequence[Filed],
    seen: set[tuple[str, int, int]],
    done: Replayed,
) -> None:
    """Send letters to their topics and wait until they are acknowledged."""
    acknowledged = []
    for item in filed:
        letter = item.letter
        if letter is None:
            done.strangers += 1
            continue
        origin = (letter.topic, letter.partition, letter.offset)
        if origin in seen:
            done.repeats += 1
            continue
        seen.add(origin)
        acknowledged.append(await _send_one(producer, letter))
    await asyncio.gather(*acknowledged)
    done.sent += len(acknowledged)


async def _send_one(producer: AIOKafkaProducer, letter: Letter) -> Awaitable[Any]:
    partitions = await producer.partitions_for(letter.topic)
    acknowledged: Awaitable[Any] = await producer.send(
        letter.topic,
        letter.value,
        key=letter.key,
        partition=letter.partition if letter.partition in partitions else None,
        headers=list(letter.headers),
    )
    return acknowledged
