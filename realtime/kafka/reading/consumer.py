"""aiokafka's consumer, as the pool needs it.

What it can't read becomes an UnreadRecord instead of an error, and what it unpacks is bounded. For
that it uses private parts of aiokafka, as only `closing.py` does besides. They were read in
aiokafka 0.14.0; tests fail when they change (test_consumer.py, test_newer_marks.py and
test_silent_members.py in tests/realtime/kafka/).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.client import ConnectionGroup
from aiokafka.consumer.fetcher import READ_COMMITTED, READ_UNCOMMITTED, FetchResult
from aiokafka.errors import (
    CommitFailedError,
    IllegalGenerationError,
    IncompatibleBrokerVersion,
    KafkaError,
    LeaderNotAvailableError,
    NoError,
    RebalanceInProgressError,
    UnknownMemberIdError,
    for_code,
)
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.offset import OffsetRequest, OffsetResetStrategy
from aiokafka.structs import OffsetAndMetadata

from realtime.kafka.reading.batches import Budget, RecordSet, Suspects
from realtime.kafka.reading.fetch_pace import BACKLOG, FetchPace, count_records
from realtime.kafka.reading.lean_fetch import LeanFetch
from realtime.kafka.reading.record_format import UnreadRecord
from realtime.kafka.reading.topic_ids import TopicIdsRequest, ids_in

__all__ = ["Consumer", "FetcherEnded", "NameTaken", "UnreadRecord"]

ASSIGNMENT_WAIT = 1.0  # seconds that a fetch waits, at most, while the group deals partitions out


class FetcherEnded(KafkaError):  # type: ignore[misc]
    """aiokafka's task that fetches has ended: nothing would come any more."""


class NameTaken(KafkaError):  # type: ignore[misc]
    """Somebody else joined the group under this member's name, and has its place."""


class Consumer(AIOKafkaConsumer):  # type: ignore[misc]
    """A consumer that no record can stop.

    Args:
        max_unpacked: Bytes that a batch may have when it is unpacked; of one that has more, the
            records within that are read. About twice as much is held at a time.
        gather: Seconds that the records of a stream may wait for each other, see fetch_pace.py.
        arguments: Those of AIOKafkaConsumer.
    """

    def __init__(self, *, max_unpacked: int, gather: float = 0.0, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._budget = Budget(max_unpacked)
        self._pace = FetchPace(gather)
        self._suspects = Suspects()
        self._passed_over: set[TopicPartition] = set()
        self._seen_at = 0.0  # loop's time of the last `fetch` or `stay`
        self._member = ""  # as the group knew it then
        self._was_away = False  # for so long that the group may have forgotten the member
        self._fetched: dict[TopicPartition, bytes] = {}  # what an answer brought
        self._send = self._client.send
        self._client.send = self._send_and_look

    @property
    def has_fetched(self) -> bool:
        """Whether a broker has answered a fetch of a partition that is assigned."""
        return any(self.highwater(partition) is not None for partition in self.assignment())

    @property
    def member(self) -> str:
        """The id that the group gave it; it gets another when it joins again."""
        return str(self._coordinator.member_id)

    @property
    def generation(self) -> int:
        """The group's count of its assignments, of the one that this member knows."""
        return int(self._coordinator.generation)

    async def fetch(
        self, partitions: Sequence[TopicPartition], *, wait: int, most: int
    ) -> Mapping[TopicPartition, Sequence[Any]]:
        """Return the next records of some partitions: ReadRecord or UnreadRecord, in order.

        aiokafka's `getmany` waits for an assignment while the group deals its partitions out,
        without an end where the task that would get one has ended. So this returns without records
        then, a second later at most; `stay` tells an error that is kept.

        Args:
            partitions: Of which.
            wait: Milliseconds until it returns without any.
            most: Records in all.

        Raises:
            NameTaken: Another member has its `group_instance_id`.
            KafkaError: It can't go on.
        """
        if self._fetcher._fetch_task.done():
            raise FetcherEnded("aiokafka fetches no more")
        self._see_that_it_is_itself()
        self._budget.renew()
        batches: dict[TopicPartition, list[Any]] = {}
        under_way = self._subscription._fetch_count
        try:
            async with asyncio.timeout(wait / 1000 + ASSIGNMENT_WAIT):
                batches = await self.getmany(*partitions, timeout_ms=wait, max_records=most)
        except TimeoutError:
            # aiokafka does not count a fetch as ended that was broken off, and for a member that
            # fetches `max_poll_interval_ms` is no limit.
            self._subscription._fetch_count = under_way
            self._tell_that_it_lives()
        self._let_go()
        return batches

    def stay(self) -> None:
        """Tell aiokafka that this member lives, and hear of the group's errors, as `fetch` does.

        To be called about each second by who does not fetch: aiokafka keeps an error until then,
        and takes a member that is idle for `max_poll_interval_ms` out of the group. A fetch of
        nothing would not do, for it waits while the group deals its partitions out.

        Raises:
            NameTaken: Another member has its `group_instance_id`.
            KafkaError: It can't go on.
        """
        if not self._subscription.reassignment_in_progress:  # else it may not know its id yet
            self._see_that_it_is_itself()
        self._coordinator.check_errors()
        self._tell_that_it_lives()

    def _tell_that_it_lives(self) -> None:
        """Have aiokafka take it for a member that has fetched just now."""
        with self._subscription.fetch_context():
            pass

    def has_passed_over(self, partition: TopicPartition) -> bool:
        """Tell whether, since the start, there was something in it that is nobody's."""
        return partition in self._passed_over

    def reached(self, partition: TopicPartition) -> int | None:
        """Return the offset that is fetched next; None while it is not known, or not assigned.

        Between the last record and it there is none for us: transactions' marks, or what is
        aborted or compacted away.
        """
        subscription = self._subscription.subscription
        if subscription is None or subscription.assignment is None:
            return None
        state = subscription.assignment.state_value(partition)
        position: int | None = state.position if state and state.has_valid_position else None
        return position

    def end(self, partition: TopicPartition) -> int | None:
        """Return where the partition ends for us, as the last answer told: its next offset.

        Reading what is committed, that is the end of the last transaction before the first open.
        """
        if partition not in self.assignment():
            return None
        if self._isolation_level == "read_committed":
            end: int | None = self.last_stable_offset(partition)
            if end is not None and end >= 0:
                return end
        end = self.highwater(partition)
        return end

    async def log_end(self, partition: TopicPartition) -> int:
        """Ask its leader where a partition ends: its next offset, open transactions included.

        aiokafka's `end_offsets` leaves those out if what is committed is read. A new leader does
        not answer until it knows all that the one before it had told (since Kafka 2.2, KIP-207).

        Raises:
            KafkaError: It does not answer, or does not know.
        """
        leader = self._client.cluster.leader_for_partition(partition)
        if leader is None or leader < 0:
            raise LeaderNotAvailableError(partition)
        asked = [(partition.partition, OffsetResetStrategy.LATEST)]
        request = OffsetRequest(-1, READ_UNCOMMITTED, [(partition.topic, asked)])
        answer = await self._send(leader, request)
        _, code, _, end = answer.topics[0][1][0]
        error = for_code(code)
        if error is not NoError:
            if error.invalid_metadata:
                self._client.force_metadata_update()
            raise error(partition)
        return int(end)

    async def commit(self, offsets: Mapping[TopicPartition, tuple[int, str]]) -> None:
        """Commit offsets of what is assigned now, and a text beside each, in one request.

        aiokafka would try again what fails for now, for as long as it takes. By then the partitions
        may be somebody else's, who has committed more, or of a topic that was made again.

        Raises:
            CommitFailedError: They were dealt out anew.
            KafkaError: The request failed; it may be tried again if the error is `retriable`.
        """
        subscription, coordinator = self._subscription.subscription, self._coordinator
        assignment = None if subscription is None else subscription.assignment
        await coordinator.ensure_coordinator_known()
        if assignment is None or not assignment.active:
            raise CommitFailedError("the partitions were dealt out anew")
        try:
            async with coordinator._commit_lock:
                await coordinator._do_commit_offsets(
                    assignment,
                    {key: OffsetAndMetadata(*position) for key, position in offsets.items()},
                )
        except (UnknownMemberIdError, IllegalGenerationError, RebalanceInProgressError) as error:
            raise CommitFailedError("the partitions are dealt out anew") from error

    async def commits(self, topics: Collection[str]) -> Mapping[TopicPartition, tuple[int, str]]:
        """Return what the group has committed of topics: offsets, and the texts beside them.

        Raises:
            KafkaError: Kafka does not answer, or does not want to.
        """
        partitions = {each for each in self.assignment() if each.topic in topics} | {
            TopicPartition(topic, number)
            for topic in topics
            for number in self.partitions_for_topic(topic) or ()
        }
        found = await self._coordinator.fetch_committed_offsets(sorted(partitions))
        return {key: (int(one.offset), one.metadata or "") for key, one in found.items()}

    async def topic_ids(self, topics: Sequence[str]) -> Mapping[str, str]:
        """Return the ids of topics; without those that have none, as before Kafka 2.8.

        Raises:
            KafkaError: Kafka does not answer.
        """
        # Not over the connection on which a fetch may wait for records: they wait for the answer.
        node, group = self._coordinator.coordinator_id, ConnectionGroup.COORDINATION
        if node is None:
            node, group = self._client.get_random_node(), ConnectionGroup.DEFAULT
        try:
            return ids_in(await self._send(node, TopicIdsRequest(topics), group=group))
        except (IncompatibleBrokerVersion, NotImplementedError):  # the broker is too old
            return {}

    def see_that_it_was_not_replaced(self) -> None:
        """Notice, before the group is joined again, that another member has got its name.

        Raises:
            NameTaken: To join would take it back, which the other one would notice, and so on.
        """
        self._see_that_it_is_itself(knows_no_member=True)

    async def _send_and_look(self, node: int, request: Any, **options: Any) -> Any:
        is_fetch = isinstance(request, FetchRequest)
        if is_fetch:
            request = LeanFetch(request)
            if pause := self._pace.wait(node, self._loop.time()):
                await asyncio.sleep(pause)
        response = await self._send(node, request, **options)
        if is_fetch:
            # aiokafka takes it apart in the step that follows this one.
            self._fetched = {
                TopicPartition(topic, partition): more[-1]
                for topic, answers in response.topics
                for partition, _, _, *more in answers
            }
            self._pace.fetched(node, self._count(), self._loop.time())
            if not isinstance(self._fetcher._records, _Results):
                self._fetcher._records = _Results(self)
        return response

    def _count(self) -> int:
        """Return how many records an answer brought, if they are few."""
        count = 0
        for data in self._fetched.values():
            if data:
                count += count_records(data, BACKLOG - count)
                if count >= BACKLOG:
                    break
        return count

    def _see_that_it_is_itself(self, *, knows_no_member: bool = False) -> None:
        """Notice that the group forgot it, although it was there all the time.

        A member with a name that joins takes the place of one that has it. aiokafka joins again
        then, and takes it back: two would do that to each other for good.

        The group forgets who sends no heartbeat for the session timeout. The member may only hear
        of that when it has fetched again, so an absence counts until it has another id.
        """
        if self._group_instance_id is None:
            return
        now = self._loop.time()
        patience = (self._session_timeout_ms - self._heartbeat_interval_ms) / 1000
        was_away = self._was_away or now - self._seen_at >= patience
        self._seen_at = now
        member = self._coordinator.member_id
        before, self._member = self._member, member or self._member
        self._was_away = was_away and self._member == before
        has_changed = before and member != before and (member or knows_no_member)
        if has_changed and not was_away:
            raise NameTaken(f"{self._group_instance_id} was given to another member of the group")

    def _read(self, partition: TopicPartition, result: FetchResult) -> None:
        """Have what a fetch brought be read by us."""
        theirs = result._partition_records
        state = result._assignment.state_value(partition)
        result._partition_records = RecordSet(
            partition,
            self._fetched.pop(partition),
            offset=theirs.next_fetch_offset,
            log_end=state.highwater,
            aborted=theirs._aborted_transactions,
            only_committed=theirs._isolation_level == READ_COMMITTED,
            budget=self._budget,
            suspects=self._suspects,
            passed_over=self._passed_over,
            decode_key=theirs._key_deserializer,
            decode_value=theirs._value_deserializer,
        )

    def _let_go(self) -> None:
        """Forget what was fetched, the largest first, until what is held is not too much."""
        results = self._fetcher._records
        held = {
            partition: result._partition_records.held
            for partition, result in results.items()
            if type(result) is FetchResult and result._partition_records is not None
        }
        total = sum(held.values())
        for partition in sorted(held, key=held.__getitem__, reverse=True):
            if total <= self._budget.size:
                break
            total -= held[partition]
            del results[partition]  # it is fetched again from where its reader is


class _Results(OrderedDict[TopicPartition, Any]):
    """What was fetched and is not read; aiokafka's fetcher puts it here."""

    def __init__(self, consumer: Consumer) -> None:
        super().__init__()
        self._consumer = consumer

    def __setitem__(self, partition: TopicPartition, result: Any) -> None:
        if type(result) is FetchResult:
            self._consumer._read(partition, result)
        super().__setitem__(partition, result)
