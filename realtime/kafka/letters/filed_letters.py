"""Reading topics of dead letters from one offset to another, however the broker counts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import ConsumerRecord

from realtime.kafka.brokers import Brokers, start_client
from realtime.kafka.deadletters import Letter
from realtime.kafka.reading.closing import close_consumer

BATCH = 100  # records that are read before the loop gets its turn
FETCH_WAIT = 50  # milliseconds that a broker may hold a fetch for which it has nothing
FETCH_BYTES = 256 * 1024  # of a partition; a record that is larger comes alone
POLL = 20  # milliseconds
PATIENCE = 20.0  # seconds that Kafka may take to send the next records
CLOSE_GRACE = 1.0  # seconds that a consumer may take to end


@dataclass(frozen=True, slots=True, kw_only=True)
class Filed:
    """A record in a topic of dead letters.

    Attributes:
        at: The partition in which it lies.
        offset: Its place there.
        letter: What it is; None: somebody else wrote it.
        record: As it is; of a page, with a payload that may be cut.
        replayed: Whether it was sent again already.
        size: Bytes of the whole payload.
    """

    at: TopicPartition
    offset: int
    letter: Letter | None
    record: ConsumerRecord
    replayed: bool
    size: int

    @classmethod
    def of(
        cls, at: TopicPartition, record: ConsumerRecord, *, replayed: bool, suffix: str
    ) -> Filed:
        """Return what a record is; a letter about a topic other than its own is a stranger's."""
        try:
            letter: Letter | None = Letter.read(record)
        except ValueError:
            letter = None
        if letter is not None and letter.topic + suffix != at.topic:
            letter = None
        return cls(
            at=at,
            offset=record.offset,
            letter=letter,
            record=record,
            replayed=replayed,
            size=len(record.value or b""),
        )

    def cut(self, most: int) -> Filed:
        """Return it with the first bytes of its payload, and not all of them."""
        if self.size <= most:
            return self
        value = self.record.value[:most]
        letter = None if self.letter is None else replace(self.letter, value=value)
        return replace(self, record=replace(self.record, value=value), letter=letter)


@asynccontextmanager
async def topic_reader(
    brokers: Brokers, *, group: str | None = None, isolation: str = "read_uncommitted"
) -> AsyncIterator[AIOKafkaConsumer]:
    """Run a consumer that is in no group; it ends in bounded time though Kafka hangs.

    Args:
        brokers: Where Kafka is.
        group: Whose offsets it may commit.
        isolation: As aiokafka takes it.

    Raises:
        KafkaError: Kafka does not answer.
    """
    consumer = AIOKafkaConsumer(
        **brokers.arguments(),
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level=isolation,
        fetch_max_wait_ms=FETCH_WAIT,
        max_partition_fetch_bytes=FETCH_BYTES,
    )
    try:
        await start_client(consumer)
        yield consumer
    finally:
        await close_consumer(consumer, grace=CLOSE_GRACE)


async def bounds(
    consumer: AIOKafkaConsumer, partitions: Iterable[TopicPartition]
) -> dict[TopicPartition, range]:
    """Return the offsets that partitions have now, and assign the consumer those partitions.

    The end is taken from a fetch: the broker of development counts batches when it is asked.

    Raises:
        TimeoutError: Nothing came for PATIENCE seconds.
        KafkaError: Kafka does not answer.
    """
    partitions = list(partitions)
    if not partitions:
        return {}
    begins = await consumer.beginning_offsets(partitions)
    told = await consumer.end_offsets(partitions)
    consumer.assign(partitions)
    for partition in partitions:
        consumer.seek(partition, max(begins[partition], told[partition]))
    ends: dict[TopicPartition, int] = {}
    async with asyncio.timeout(PATIENCE):
        while len(ends) < len(partitions):
            await consumer.getmany(timeout_ms=POLL, max_records=1)
            for partition in partitions:
                if (end := _end(consumer, partition)) is not None:
                    ends[partition] = end
    return {key: range(begins[key], max(begins[key], ends[key])) for key in partitions}


def _end(consumer: AIOKafkaConsumer, partition: TopicPartition) -> int | None:
    end: int | None = consumer.last_stable_offset(partition)
    if end is None or end < 0:  # reading what is not committed too
        end = consumer.highwater(partition)
    return end


async def read_ranges(
    consumer: AIOKafkaConsumer, ranges: Mapping[TopicPartition, range]
) -> AsyncGenerator[tuple[TopicPartition, list[ConsumerRecord]], None]:
    """Yield the records of some offsets of partitions that are assigned, each partition's in order.

    What comes later is left: a letter that fails again must not be read again.

    Raises:
        TimeoutError: Nothing came for PATIENCE seconds.
        KafkaError: Kafka does not let us read.
    """
    waiting = {partition: each.stop for partition, each in ranges.items() if each}
    consumer.pause(*consumer.assignment() - waiting.keys())
    consumer.resume(*waiting)
    for partition in waiting:
        consumer.seek(partition, ranges[partition].start)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE
    while waiting:
        batches: dict[TopicPartition, list[ConsumerRecord]] = await consumer.getmany(
            *waiting, timeout_ms=POLL, max_records=BATCH
        )
        for partition, end in list(waiting.items()):
            records = [each for each in batches.get(partition, ()) if each.offset < end]
            if records:
                yield partition, records
            if await consumer.position(partition) >= end:
                del waiting[partition]
                consumer.pause(partition)
            if records or partition not in waiting:
                deadline = loop.time() + PATIENCE
        if loop.time() > deadline:
            raise TimeoutError(f"nothing came from Kafka within {PATIENCE:g} s")
