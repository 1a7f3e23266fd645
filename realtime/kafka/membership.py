"""One consumer's life in its group: fetch, dispatch, commit, and give partitions back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from aiokafka import TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.errors import KafkaError

from realtime.kafka.beginnings import Beginnings
from realtime.kafka.brokers import start_client
from realtime.kafka.publishing.commits import Commits
from realtime.kafka.publishing.dispatch import MakeDispatch
from realtime.kafka.publishing.marks import PartitionMarks
from realtime.kafka.publishing.partitions import PartitionWork, Slice, fitting, source_of
from realtime.kafka.publishing.pause_notes import PauseNotes
from realtime.kafka.reading.closing import close_connections, close_consumer
from realtime.kafka.reading.consumer import Consumer, NameTaken
from realtime.kafka.reporting import Progress
from realtime.kafka.routing.route_calls import Router
from realtime.kafka.stopping import Stop, Stopped
from realtime.metrics.metric_sources import PartitionFigures
from realtime.outage import Outage
from shardlayer import ShardedChannelLayer

logger = logging.getLogger(__name__)

MAX_RECORDS = 500  # records that are fetched and routed before the loop gets its turn
MAX_WAIT = 100  # milliseconds that a fetch waits for its first record
MAX_WAIT_BUSY = 10  # the same while partitions have too much under way to be among those fetched
MARKS_WAIT = 1.0  # seconds after an assignment that its records wait to know their marks
SETTLE_GRACE = 2.0  # seconds for what is under way, when partitions are given back
COMMIT_GRACE = 2.0  # seconds for the commit after it
LEAVE_GRACE = 2.0  # seconds for leaving the group, in a rebalance too
PASS_OVER = 0.1  # seconds between two looks at where partitions without records are
STAY_INTERVAL = 1.0  # seconds that a member waits without a look at what became of its group
END_TIMEOUT = 3.0  # seconds for a broker to tell where a partition ends
IDS_TIMEOUT = 3.0  # seconds for a broker to tell the topics' ids
IDS_PAUSE = 0.2  # seconds until it is asked again
IDS_INTERVAL = 2.0  # seconds between two looks whether they are still the same topics


class Rejoin(KafkaError):  # type: ignore[misc]
    """This membership can't go on; another one can, from what is committed."""


class MadeAgain(Rejoin):
    """Topics were deleted, and others have their names."""

    def __init__(self, topics: Collection[str]) -> None:
        super().__init__(f"{', '.join(topics)}: deleted, and made again")


class GroupMembership(ConsumerRebalanceListener):  # type: ignore[misc]
    """A consumer from its joining to its leaving.

    Records are fetched and routed while those before them are published, and those before these
    are committed; how far this goes ahead is bounded for each partition. A partition one of whose
    records waits for a destination that does not answer is paused; the others go on.

    Given back, a partition's work is finished and committed, unless its destination does not
    answer. What is left then is kept in case the partition comes back, which it does behind it,
    paused; else it is dropped, and whoever has the partition begins with it. A partition that comes
    back in the group's next generation goes on behind what was taken, committed or not: nobody else
    had it.

    Args:
        topics: What to read.
        arguments: Those of Consumer.
        router: Names the records' rooms.
        dispatch: Makes what takes the records.
        layer: Asked for marks.
        progress: Told what was done.
        stop: Ends it.
        topic_ids: Of the topics as they were last read; kept up to date here.
        made_again: Topics that were made again while this process read them; added to here.
        on_fetch: Called once, when a broker has answered a fetch, or the group has no partition for
            this member.
    """

    def __init__(
        self,
        *,
        topics: Sequence[str],
        arguments: Mapping[str, Any],
        router: Router,
        dispatch: MakeDispatch,
        layer: ShardedChannelLayer,
        progress: Progress,
        stop: Stop,
        topic_ids: dict[str, str],
        made_again: set[str],
        on_fetch: Callable[[], None],
    ) -> None:
        self._on_fetch: Callable[[], None] | None = on_fetch
        self._router = router
        self._topics = topics
        self._stop = stop
        self._progress = progress
        self._skips_the_past = arguments.get("auto_offset_reset") == "latest"
        self._consumer = Consumer(**arguments)
        self._consumer.subscribe(list(topics), listener=self)
        self._commits = Commits(self._consumer, on_error=self._fail)
        redis = Outage("Redis", logger)
        self._dispatch = dispatch(
            outage=redis, on_done=self._done, on_change=self._sync_pauses, on_error=self._fail
        )
        self._marks = PartitionMarks(layer, redis)
        self._work: dict[TopicPartition, PartitionWork] = {}
        self._unmarked: set[TopicPartition] = set()  # held until their marks are known
        self._beginnings = Beginnings(
            self._consumer, on_change=self._sync_pauses, on_error=self._fail
        )
        self._doubted: set[TopicPartition] = set()  # their marks seemed to lie beyond their end
        self._marks_due = 0.0  # loop's time
        self._topic_ids = topic_ids
        self._made_again: dict[str, str] = {}  # topics, and their new ids
        self._ever_made_again = made_again
        self._identified = asyncio.Event()  # whether they are those of what is assigned
        self._identifying: asyncio.Task[None] | None = None  # and sees that they stay so
        self._generation = 0  # of assignments
        self._group_generation = 0  # as the group counts them
        self._passed_over = 0.0  # loop's time
        self._assigned = asyncio.Event()  # the work is that of the consumer's assignment
        self._changed = asyncio.Event()  # work ended, or will not for now
        self._failure: BaseException | None = None
        self._is_closing = False
        self._notes = PauseNotes(lambda: self._consumer.member)
        self._paused: set[TopicPartition] = set()

    @property
    def paused(self) -> int:
        """How many partitions are paused."""
        return len(self._paused)

    def lag(self) -> int:
        """Return how many records wait in the partitions, as far as Kafka has told."""
        return sum(
            work.lag(self._consumer.end(partition)) for partition, work in self._work.items()
        )

    def partitions(self) -> list[PartitionFigures]:
        """Return how far each partition is, as far as Kafka has told."""
        found = []
        for partition, work in list(self._work.items()):
            position = work.position
            end = None if position is None else self._consumer.end(partition)
            found.append(
                PartitionFigures(
                    topic=partition.topic,
                    partition=partition.partition,
                    lag=None if end is None else work.lag(end),
                    position=None if position is None else max(position, 0),
                    is_paused=partition in self._paused,
                )
            )
        return found

    async def start(self) -> None:
        """Join the group, which can take seconds.

        Raises:
            KafkaError: Kafka does not answer.
            Stopped: The stop came first.
        """
        async with self._stop.bounds():
            await start_client(self._consumer)

    async def run(self) -> None:
        """Work until the stop; then finish and commit what is under way.

        Raises:
            KafkaError: It can't go on; another membership may.
        """
        try:
            async with self._stop.bounds():
                while not self._stop.is_set():
                    await self._step()
        except Stopped:
            pass
        except Rejoin:
            await self._finish()
            raise
        await self._finish()

    async def aclose(self) -> None:
        """Leave the group and end everything, answered or not."""
        self._is_closing = True  # the group may still assign partitions
        if self._identifying is not None:
            self._identifying.cancel()
            await asyncio.wait([self._identifying])
        await self._beginnings.aclose()
        await self._dispatch.aclose()
        await self._marks.aclose()
        self._commits.hold()
        if not await close_consumer(self._consumer, grace=LEAVE_GRACE):
            logger.warning("Kafka does not answer; the group will notice that a consumer left.")
        await self._commits.aclose()
        await close_connections(self._consumer)  # of a commit that was tried again meanwhile

    async def on_partitions_revoked(self, revoked: object) -> None:
        """Finish what can be finished and commit it, while the group waits."""
        self._assigned.clear()
        try:
            self._consumer.see_that_it_was_not_replaced()
            await self._settle()
        except NameTaken as error:
            self._fail(error)
            raise asyncio.CancelledError from error  # ends aiokafka's task, which would join again
        except Exception as error:  # aiokafka would only log it
            self._fail(error)

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Begin with new partitions, and go on with those that came back unfinished."""
        try:
            self._assign(assigned)
            self._assigned.set()
        except Exception as error:  # aiokafka would only log it
            self._fail(error)

    def _assign(self, assigned: Collection[TopicPartition]) -> None:
        if self._is_closing:
            return
        self._generation += 1
        logger.info("Reading %d partition(s) of %s.", len(assigned), ", ".join(self._topics))
        before, self._work = self._work, {}
        generation = self._consumer.generation
        nobody_else = generation == self._group_generation + 1  # had what we had and have
        self._group_generation = generation
        goes_on = set()
        for partition in assigned:
            work = before.pop(partition, None)
            if work is not None and work.end is not None and (nobody_else or not work.is_idle):
                self._consumer.seek(partition, max(work.end, work.done or 0))
                goes_on.add(partition)
            else:
                work = PartitionWork(partition)
            self._work[partition] = work
        for work in before.values():
            work.dropped = True
        self._unmarked.clear()
        self._doubted.clear()
        self._beginnings.drop()
        self._notes.forget()
        self._marks_due = asyncio.get_running_loop().time() + MARKS_WAIT
        self._marks.drop()
        self._identified.clear()
        if self._identifying is not None:
            self._identifying.cancel()
        self._identifying = asyncio.create_task(self._identify(), name="realtime: identify topics")
        self._commits.release(goes_on if nobody_else else ())
        self._sync_pauses()

    async def _identify(self) -> None:
        """Find out which topics were assigned, have their marks asked for, and see that they stay.

        Not done by the callback that assigns them, for which the whole group waits.
        """
        try:
            while not await self._look_at_topics():  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(IDS_PAUSE)
            if self._is_closing:  # aiokafka may miss a cancellation
                return
            for partition, work in self._work.items():
                if work.end is None:
                    work.source = source_of(partition, self._topic_ids.get(partition.topic, ""))
            new = {key: work for key, work in self._work.items() if work.end is None}
            if self._skips_the_past:
                await self._beginnings.find(new, made_again=self._ever_made_again)
            self._marks.ask({key: work.source for key, work in new.items()})
            self._identified.set()
            while not self._is_closing:
                await asyncio.sleep(IDS_INTERVAL)
                await self._look_at_topics()
        except Exception as error:  # told to the owner, who ends it all
            self._fail(error)

    async def _look_at_topics(self) -> bool:
        """Learn the topics' ids; False if no broker tells them now, as reading tells, too.

        Raises:
            MadeAgain: One is not what it was.
        """
        known = self._topic_ids
        try:
            async with asyncio.timeout(IDS_TIMEOUT):
                ids = await self._consumer.topic_ids(self._topics)
        except (KafkaError, TimeoutError):
            return False
        other = sorted(topic for topic, id in ids.items() if known.get(topic, id) != id)
        if other:
            self._made_again = {topic: ids[topic] for topic in other}
            self._ever_made_again.update(other)
            raise MadeAgain(other)
        known.update(ids)
        return True

    async def _finish(self) -> None:
        """Finish and commit what is under way.

        Topics that were made again are read from their beginning, by whoever is next: what is
        committed, or would be, is of the topics before them. They count as known only once that is
        committed: a membership that ends without it leaves them to the next one.
        """
        for partition in [key for key in self._work if key.topic in self._made_again]:
            self._work.pop(partition).dropped = True
            self._commits.note(partition, 0)
        if await self._settle(insist=True):
            self._topic_ids.update(self._made_again)

    async def _step(self) -> None:
        """Fetch once and send what came on its way."""
        is_assigned = self._failure is None and await self._comes(self._assigned)
        if self._failure is not None:
            raise self._failure
        if not is_assigned:
            return
        ready = [key for key, work in self._work.items() if work.has_room]
        if not ready:
            self._tell_of_answer()
            self._changed.clear()
            await self._comes(self._changed)
            return
        wait = MAX_WAIT if len(ready) == len(self._work) else MAX_WAIT_BUSY
        batches = await self._consumer.fetch(ready, wait=wait, most=MAX_RECORDS)
        generation = self._generation
        self._see_beginnings(batches)
        await self._look_around(batches)
        if generation != self._generation:
            return  # given back meanwhile; what is behind what was taken is fetched again
        if batches and not self._assigned.is_set():  # aiokafka had told us of no assignment yet
            raise Rejoin("Records came before their partitions")
        await self._take_all(batches)

    async def _take_all(self, batches: Mapping[TopicPartition, Sequence[Any]]) -> None:
        """Take what a fetch brought, of the partitions that may go on."""
        generation = self._generation
        # Asked for before anything is waited for: an assignment begins without knowing them.
        log_ends = {partition: self._consumer.highwater(partition) for partition in batches}
        works = {partition: self._work[partition] for partition in batches}
        going_on = []
        # All of them begin before a route is waited for, which may take its time.
        for partition, records in batches.items():
            work = works[partition]
            if work.end is None:
                if not self._has_stayed(generation):
                    return  # what was kept is fetched again, from behind what was taken
                if not await self._may_begin(work, records[0].offset, log_ends[partition]):
                    continue
                self._commit_beginning(work)
            going_on.append(partition)
        for partition in going_on:
            if not self._has_stayed(generation):
                return
            work, records = works[partition], batches[partition]
            if work.end is not None and records[0].offset < work.end:
                raise Rejoin(f"{work.source} begins anew")
            if self._work.get(partition) is work:  # not given back meanwhile
                await self._take(work, records)

    def _has_stayed(self, generation: int) -> bool:
        """Tell whether nothing was given back since that generation of assignments began."""
        return generation == self._generation and self._assigned.is_set()

    async def _comes(self, event: asyncio.Event) -> bool:
        """Wait a while for an event, staying in the group as a fetch would; return whether it came.

        Raises:
            KafkaError: The group does not take this member any more.
        """
        if event.is_set():
            return True
        try:
            async with asyncio.timeout(STAY_INTERVAL):
                await event.wait()
        except TimeoutError:
            if not event.is_set():  # else it came in the same turn, and may tell of a failure
                self._consumer.stay()
        return event.is_set()

    def _tell_of_answer(self) -> None:
        """Tell, once, that a broker has answered a fetch, or that there is nothing to fetch."""
        if self._on_fetch is not None and (self._consumer.has_fetched or not self._work):
            self._on_fetch()
            self._on_fetch = None

    async def _take(self, work: PartitionWork, records: Sequence[Any]) -> None:
        """Have records routed, and send them on their ways."""
        count = fitting(records)
        generation = self._generation
        answers = await self._router.rooms(records[:count])
        if not self._has_stayed(generation):
            return  # given back meanwhile; who has the partition now begins behind what was taken
        if count < len(records):
            self._consumer.seek(work.partition, records[count].offset)
        self._dispatch.take(work, records[:count], answers)

    def _see_beginnings(self, batches: Mapping[TopicPartition, Sequence[Any]]) -> None:
        """Note where partitions begin whose first records came: their reader is behind them now."""
        for partition in batches.keys() - self._beginnings.held.keys():
            work = self._work.get(partition)
            if work is not None and work.begin is None:
                work.begin = batches[partition][0].offset

    async def _look_around(self, batches: Mapping[TopicPartition, object]) -> None:
        """Look at what a fetch showed beside records."""
        self._tell_of_answer()
        now = asyncio.get_running_loop().time()
        if not self._assigned.is_set():
            return
        # Where each begins is looked at soon: a transaction's mark may be all that follows.
        begun = all(work.begin is not None for work in self._work.values())
        if begun and now - self._passed_over < PASS_OVER:
            return
        self._passed_over = now
        for partition in self._work.keys() - batches.keys() - self._held():
            work = self._work[partition]
            position = self._consumer.reached(partition)
            if position is None:
                continue
            if work.begin is None and not self._consumer.has_passed_over(partition):
                work.begin = position
            if work.end is None and position != work.position:
                if not await self._may_pass_over(work) or self._work.get(partition) is not work:
                    continue
                if work.begin is None:
                    work.begin = -1  # before all: it may have been passed over before this look
            if work.pass_over(position) and work.done is not None:
                self._commit(work)
            elif partition in self._beginnings.uncommitted and await self._may_pass_over(work):
                self._commit_beginning(work)

    def _commit_beginning(self, work: PartitionWork) -> None:
        """Have committed where a partition begins, if no commit tells so yet."""
        is_uncommitted = work.partition in self._beginnings.uncommitted
        if is_uncommitted and self._work.get(work.partition) is work:
            self._commit(work)

    def _commit_beginnings(self) -> None:
        """Have committed where partitions begin that nobody could look at since their marks came.

        A route may have been waited for. Whoever has them next begins with the latest otherwise.
        """
        if not self._marks.are_known:
            return
        for partition in self._beginnings.uncommitted - self._beginnings.held.keys():
            work, position = self._work.get(partition), self._consumer.reached(partition)
            if work is None or position is None:
                continue
            log_end = self._consumer.highwater(partition)
            if log_end is None or self._marks.lie_beyond(partition, log_end):
                continue  # nothing was fetched, or it may be another log
            if work.begin is None:
                work.begin = position
            self._commit_beginning(work)

    async def _may_pass_over(self, work: PartitionWork) -> bool:
        """Say whether a commit may be made in a partition without a record yet.

        As for a record, its marks are looked at first. In a log that lost its records they would
        have the next ones skipped; while they are unknown, only what is committed tells such a log
        (see `_may_begin`).
        """
        log_end = self._consumer.highwater(work.partition)
        if log_end is None or not await self._marks.known(within=0):
            return False
        return await self._has_own_marks(work, log_end)

    async def _may_begin(self, work: PartitionWork, offset: int, log_end: int) -> bool:
        """Say whether a new partition's first records may be published now.

        Its marks are looked at first. While a shard is away they may stay unknown: a partition
        whose log reaches as far as the group has committed may begin all the same, another is held.
        Not only one that begins exactly there: a commit of before may have come later than the
        question where to begin.
        """
        partition = work.partition
        await self._identified.wait()
        patience = max(0.0, self._marks_due - asyncio.get_running_loop().time())
        known = await self._marks.known(within=patience)
        if self._work.get(partition) is not work or self._failure is not None:
            return False  # it was given back meanwhile, or it all ends
        reached = self._consumer.reached(partition)
        if partition in self._beginnings.held or (reached is not None and reached <= offset):
            return False  # it was found meanwhile that it begins elsewhere
        if known:
            if await self._has_own_marks(work, log_end):
                return True
            if self._work.get(partition) is work:
                self._consumer.seek(partition, offset)
            return False
        committed = await self._consumer.committed(partition)
        if committed is not None and committed <= log_end:
            return True
        if self._work.get(partition) is work:
            self._consumer.seek(partition, offset)
            self._unmarked.add(partition)
            self._marks.when_known(self._marked)
            self._sync_pauses()
        return False

    async def _has_own_marks(self, work: PartitionWork, log_end: int) -> bool:
        """Have marks forgotten that are of another log; False: it has to be looked at once more.

        The end is as old as the fetch that told it, and others may have published since then what
        came later; a follower that answers fetches may lag, and so may a new leader. So marks that
        lie beyond the end are forgotten only if they lie beyond that of the next fetch, too, and
        beyond the one that the leader knows.
        """
        partition = work.partition
        if not self._marks.lie_beyond(partition, log_end):
            return True
        if partition not in self._doubted:
            self._doubted.add(partition)
            return False
        try:
            async with asyncio.timeout(END_TIMEOUT):
                log_end = max(log_end, await self._consumer.log_end(partition))
        except (KafkaError, TimeoutError):
            return False
        if self._work.get(partition) is not work:
            return False  # given back meanwhile
        if self._marks.lie_beyond(partition, log_end):
            await self._marks.forget(partition, log_end=log_end)
        return True

    def _marked(self) -> None:
        self._unmarked.clear()
        self._sync_pauses()

    async def _settle(self, *, insist: bool = False) -> bool:
        """Wait for what is under way, as far as it goes on, and commit; return whether it was."""
        deadline = asyncio.get_running_loop().time() + SETTLE_GRACE
        try:
            async with asyncio.timeout_at(deadline):
                while self._under_way():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            pass  # a destination is slow; what it has not acknowledged is not committed
        self._commit_beginnings()
        return await self._commits.flush(COMMIT_GRACE, insist=insist)

    def _under_way(self) -> bool:
        busy = {partition for partition, work in self._work.items() if not work.is_idle}
        return self._failure is None and bool(busy - self._dispatch.blocked())

    def _done(self, done: Slice) -> None:
        work = done.work
        if work.done is not None:
            self._commit(work)
        self._progress.took(done.records, done.rooms, oldest=done.oldest)
        self._changed.set()

    def _fail(self, error: BaseException) -> None:
        self._failure = self._failure or error
        self._assigned.set()  # whoever waits has to see it
        self._identified.set()
        self._changed.set()

    def _held(self) -> set[TopicPartition]:
        """Return the partitions of which nothing may be read yet."""
        return self._unmarked | self._beginnings.held.keys()

    def _sync_pauses(self) -> None:
        """Pause the partitions that can't go on, and resume those that can."""
        assigned = self._consumer.assignment() & self._work.keys()
        paused = self._consumer.paused() if assigned else set()
        blocked = (self._dispatch.blocked() | self._held()) & assigned
        self._paused = blocked
        self._consumer.pause(*blocked - paused)
        self._consumer.resume(*(paused & assigned) - blocked)
        for work in self._notes.changed(blocked, self._work):
            self._commit(work)
        self._changed.set()

    def _commit(self, work: PartitionWork) -> None:
        """Have committed how far a partition has come, and whether it is paused."""
        if work.position is not None:
            self._beginnings.uncommitted.discard(work.partition)
            begun = self._beginnings.note(work.partition.topic)
            text = self._notes.text(work.partition, beside=begun)
            self._commits.note(work.partition, work.position, text)
