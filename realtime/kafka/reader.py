"""One member of the consumer group: takes batches of records, has them published, commits."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord

from realtime.kafka.delivery import Delivery
from realtime.kafka.progress import Progress
from realtime.kafka.routing import BadRecord, Route, publications
from realtime.kafka.skipped import SkippedRecords
from realtime.kafka.stopping import Stop, Stopped
from realtime.outage import Outage, pause

logger = logging.getLogger(__name__)

MAX_RECORDS = 100  # records in a batch
MAX_WAIT = 10  # milliseconds that a batch waits for its first record
COMMIT_GRACE = 2.0  # seconds that a commit may take after the stop
LEAVE_GRACE = 2.0  # seconds that leaving the group may take after the stop

Batches = Mapping[TopicPartition, Sequence[ConsumerRecord]]


class Reader(ConsumerRebalanceListener):  # type: ignore[misc]
    """Reads for the group until it is told to stop.

    A batch is committed once Redis has acknowledged all of it, so a crash repeats records and
    loses none. While a batch is being published its partitions are not given away: the group
    waits for it. Only a batch that Redis does not take is given up, uncommitted, and whoever gets
    the partitions next starts with it.

    Args:
        topics: What to read.
        arguments: Those of AIOKafkaConsumer.
        route: Names a record's rooms.
        limit: Bytes of a payload, at most.
    """

    def __init__(
        self,
        *,
        topics: Sequence[str],
        arguments: Mapping[str, Any],
        route: Route,
        limit: int,
        delivery: Delivery,
        progress: Progress,
        skipped: SkippedRecords,
    ) -> None:
        self._topics = topics
        self._arguments = arguments
        self._route = route
        self._limit = limit
        self._delivery = delivery
        self._progress = progress
        self._skipped = skipped
        self._stop = Stop()
        self._give_up = asyncio.Event()  # a batch that Redis does not take must not hold us up
        self._batch = asyncio.Lock()  # held while a batch is between getmany and commit
        self._done: dict[TopicPartition, int] = {}  # partition -> the offset that comes next
        self._consumer: Any = None

    def stop(self) -> None:
        """Finish the batch in hand, commit, leave the group. Returns at once.

        A Kafka that does not answer is not waited for: COMMIT_GRACE, then LEAVE_GRACE.
        """
        self._stop.set()
        self._give_up.set()

    def lag(self) -> int:
        """Return how many records wait in this reader's partitions, as far as it has heard."""
        if self._consumer is None:
            return 0
        return sum(
            max(0, (self._consumer.highwater(partition) or 0) - offset)
            for partition, offset in self._done.items()
        )

    async def run(self) -> None:
        """Read until `stop`; a failing Kafka is tried again forever."""
        outage = Outage("Kafka", logger)
        while not self._stop.is_set():
            try:
                await self._read(outage)
            except KafkaError as error:
                await pause(outage.failed(error), unless=self._stop)

    async def on_partitions_revoked(self, revoked: object) -> None:
        """Hold the rebalance until the batch in hand is committed or given up."""
        self._give_up.set()
        async with self._batch:
            self._done.clear()

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Go on after a rebalance."""
        logger.info("Reading %d partition(s) of %s.", len(assigned), ", ".join(self._topics))
        if not self._stop.is_set():
            self._give_up.clear()

    async def _read(self, outage: Outage) -> None:
        consumer = AIOKafkaConsumer(**self._arguments)
        consumer.subscribe(list(self._topics), listener=self)
        try:
            async with self._stop.bounds():
                await consumer.start()  # joins the group, which can take seconds
            self._consumer = consumer
            outage.over()
            while not self._stop.is_set():
                async with self._stop.bounds():  # in a rebalance it waits for the group
                    batches = await consumer.getmany(timeout_ms=MAX_WAIT, max_records=MAX_RECORDS)
                if batches:
                    async with self._batch:  # free, or a rebalance would have taken the records
                        await self._take(consumer, batches)
        except Stopped:
            pass
        finally:
            self._consumer = None
            await self._leave(consumer)

    async def _take(self, consumer: AIOKafkaConsumer, batches: Batches) -> None:
        items: list[tuple[str, bytes]] = []
        for partition, records in batches.items():
            for record in records:
                try:
                    items += publications(record, self._route, limit=self._limit)
                except BadRecord as error:
                    self._skipped.add(partition.topic, partition.partition, record.offset, error)
        if not await self._delivery.publish(items, give_up=self._give_up):
            return
        ends = {partition: records[-1].offset + 1 for partition, records in batches.items()}
        await self._commit(consumer, ends)
        self._done |= ends
        self._progress.took(sum(map(len, batches.values())), (room for room, _ in items))

    async def _commit(self, consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int]) -> None:
        """Commit; while Kafka is away for as long as it takes."""
        try:
            async with self._stop.bounds(COMMIT_GRACE):
                await consumer.commit(ends)
        except (KafkaError, Stopped) as error:
            # The records are published. The next commit covers them; until then a crash, or the
            # partition's next owner, publishes them again.
            why = "Kafka does not answer" if isinstance(error, Stopped) else type(error).__name__
            logger.warning("A commit failed, records may be repeated: %s.", why)

    async def _leave(self, consumer: AIOKafkaConsumer) -> None:
        try:
            async with self._stop.bounds(LEAVE_GRACE):
                await consumer.stop()
        except Stopped:
            logger.warning("Kafka does not answer; the group will notice that a consumer left.")
