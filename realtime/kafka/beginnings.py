"""Where partitions without a commit begin, in a group that begins with the latest."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from realtime.kafka.publishing.beginning_notes import beginning_note, counts_in
from realtime.kafka.publishing.partitions import PartitionWork
from realtime.kafka.reading.consumer import Consumer
from realtime.outage import Outage

logger = logging.getLogger(__name__)

FIRST_TIMEOUT = 3.0  # seconds for a leader to tell where a partition begins


class Beginnings:
    """Finds where one membership's new partitions begin.

    Only a group that is new begins with the latest. A partition that was added to the topic since
    is read from its first record, and so is a topic that was made again: nobody may have had the
    partition when that was noticed.

    Where a partition without a commit begins is to be committed, though no record comes. Else its
    next reader would begin with the latest again, and miss what came until then.

    Args:
        consumer: Whose partitions they are.
        on_change: Called when `held` has changed.
        on_error: Called with an error that waiting does not mend.

    Attributes:
        held: Partitions whose first record is not known yet. They are not to be read.
        uncommitted: Partitions of which it is to be committed where they begin.
    """

    def __init__(
        self,
        consumer: Consumer,
        *,
        on_change: Callable[[], None],
        on_error: Callable[[BaseException], None],
    ) -> None:
        self.held: dict[TopicPartition, PartitionWork] = {}
        self.uncommitted: set[TopicPartition] = set()
        self._consumer = consumer
        self._on_change = on_change
        self._on_error = on_error
        self._counts: dict[str, int] = {}  # of topics' partitions, when the group began with them
        self._new: Mapping[TopicPartition, PartitionWork] = {}
        self._asking: asyncio.Task[None] | None = None

    def note(self, topic: str) -> str:
        """Return what is to be committed beside an offset, if it is known."""
        count = self._counts.get(topic)
        return "" if count is None else beginning_note(count)

    def drop(self) -> None:
        """Begin anew, with other partitions."""
        self.held, self._new = {}, {}
        self.uncommitted = set()
        if self._asking is not None:
            self._asking.cancel()

    async def aclose(self) -> None:
        """Ask no more."""
        self.drop()
        if self._asking is not None:
            await asyncio.wait([self._asking])

    async def find(
        self, new: Mapping[TopicPartition, PartitionWork], *, made_again: Collection[str]
    ) -> None:
        """Hold those that were added until their leaders have told where they begin.

        Args:
            new: The partitions that nothing was taken of.
            made_again: Topics that are read from their beginning.

        Raises:
            KafkaError: Kafka does not tell what is committed.
        """
        self._new = new
        topics = {key.topic for key in new}
        committed = await self._consumer.commits(topics)
        if self._new is not new:
            return
        self._learn(topics, counts_in({key: text for key, (_, text) in committed.items()}))
        self.uncommitted = new.keys() - committed.keys()
        self.held = {
            key: new[key]
            for key in self.uncommitted
            if key.topic in made_again or key.partition >= self._counts[key.topic]
        }
        if self.held:
            for work in self.held.values():
                work.begin = None  # it may have been seen to begin with the latest
            self._on_change()
            self._asking = asyncio.create_task(self._ask(), name="realtime: find first records")

    def _learn(self, topics: Collection[str], noted: Mapping[str, int]) -> None:
        """Take over what the group began with; it begins now if nobody has noted anything."""
        for topic in topics:
            known = [counts[topic] for counts in (noted, self._counts) if topic in counts]
            self._counts[topic] = min(known, default=self._size(topic))

    def _size(self, topic: str) -> int:
        """Return how many partitions a topic has; more may be assigned than this client knows."""
        assigned = {key.partition for key in self._new if key.topic == topic}
        known: set[int] = self._consumer.partitions_for_topic(topic) or set()
        return 1 + max(assigned | known)

    async def _ask(self) -> None:
        """Ask for first records until all are known; a leader that is away holds no other."""
        outage = Outage("The leader of a new partition", logger)
        try:
            while held := self.held:
                told = await asyncio.gather(*(self._begin(*each) for each in held.items()))
                if reasons := [why for why in told if why]:
                    more = f", and {len(reasons) - 1} more" if len(reasons) > 1 else ""
                    await asyncio.sleep(outage.failed(reasons[0] + more))
            outage.over()
        except Exception as error:  # told to the owner, who ends it all
            self._on_error(error)

    async def _begin(self, partition: TopicPartition, work: PartitionWork) -> str:
        """Begin with a partition's first record; return why not, if it is to be asked again.

        Raises:
            KafkaError: Its leader will never tell.
        """
        try:
            async with asyncio.timeout(FIRST_TIMEOUT):
                firsts = await self._consumer.beginning_offsets([partition])
        except TimeoutError:
            return f"{partition.topic}/{partition.partition}: no answer"
        except KafkaError as error:
            if not error.retriable:
                raise
            return f"{partition.topic}/{partition.partition}: {type(error).__name__}"
        if self.held.get(partition) is work:  # not given back meanwhile
            if partition in self._consumer.assignment():
                self._consumer.seek(partition, firsts[partition])
            del self.held[partition]
            self._on_change()
        return ""
