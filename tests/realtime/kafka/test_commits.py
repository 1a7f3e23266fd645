"""Commits beside the work: the newest offsets, one request at a time."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from collections.abc import AsyncIterator, Collection, Mapping

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError, UnknownTopicOrPartitionError

from demo.embedded import EmbeddedTansu
from realtime.kafka.brokers import Brokers
from realtime.kafka.publishing.commits import INTERVAL, Commits
from realtime.kafka.reading.closing import close_consumer
from tests.apache_kafka import ApacheKafka
from tests.waiting import until

FIRST, SECOND = TopicPartition("events", 0), TopicPartition("events", 1)
GRACE = 5.0  # seconds


class RecordingConsumer:
    """What commits see of a consumer; a commit ends when it is let go.

    Attributes:
        committed: The offsets that each request brought.
        texts: What it brought beside them.
        failure: What requests raise.
        failures: How many requests raise it.
        gate: Requests wait until it is set.
    """

    def __init__(self) -> None:
        self.committed: list[Mapping[TopicPartition, int]] = []
        self.texts: list[Mapping[TopicPartition, str]] = []
        self.failure: Exception | None = None
        self.failures = 1_000_000
        self.gate = asyncio.Event()
        self.gate.set()

    def assignment(self) -> set[TopicPartition]:
        """Return both partitions."""
        return {FIRST, SECOND}

    async def commit(self, offsets: Mapping[TopicPartition, tuple[int, str]]) -> None:
        """Note the offsets."""
        self.committed.append({key: offset for key, (offset, _) in offsets.items()})
        self.texts.append({key: text for key, (_, text) in offsets.items()})
        await self.gate.wait()
        if self.failure is not None and len(self.committed) <= self.failures:
            raise self.failure


@pytest.fixture
def consumer() -> RecordingConsumer:
    """A consumer."""
    return RecordingConsumer()


@pytest.fixture
async def commits(consumer: RecordingConsumer) -> AsyncIterator[Commits]:
    """Its commits, ended after the test."""
    errors: list[BaseException] = []
    commits = Commits(consumer, on_error=errors.append)
    yield commits
    await commits.aclose()
    assert errors == []


async def refused(
    consumer: RecordingConsumer, commits: Commits, caplog: pytest.LogCaptureFixture
) -> None:
    """Have a commit refused, and the refusal told."""
    consumer.failure = CommitFailedError()
    commits.note(FIRST, 1)
    await until(lambda: "A commit failed" in caplog.text)


async def test_nothing_is_committed_while_it_is_held(
    consumer: RecordingConsumer, commits: Commits
) -> None:
    """Neither what waited, nor what comes."""
    consumer.gate.clear()
    commits.note(FIRST, 1)
    await until(lambda: len(consumer.committed) == 1)
    commits.note(FIRST, 2)
    commits.hold()
    consumer.gate.set()
    commits.note(SECOND, 3)
    await asyncio.sleep(2 * INTERVAL)  # nothing tells of a commit that does not come
    assert consumer.committed == [{FIRST: 1}]
    commits.release({FIRST, SECOND})
    await until(lambda: len(consumer.committed) > 1)
    assert consumer.committed[1] == {FIRST: 2, SECOND: 3}


async def test_text_goes_with_its_offset(consumer: RecordingConsumer, commits: Commits) -> None:
    """What is noted last counts, also of the text; one without takes the text of before away."""
    commits.note(FIRST, 1, "paused")
    await until(lambda: len(consumer.committed) == 1)
    commits.note(FIRST, 1)
    await until(lambda: len(consumer.committed) == 2)
    assert consumer.texts == [{FIRST: "paused"}, {FIRST: ""}]


async def test_newest_offsets_go_together(consumer: RecordingConsumer, commits: Commits) -> None:
    """While a request is under way, what comes is gathered for the next."""
    consumer.gate.clear()
    commits.note(FIRST, 1)
    await until(lambda: consumer.committed)
    commits.note(FIRST, 2)
    commits.note(SECOND, 7)
    commits.note(FIRST, 3)
    consumer.gate.set()
    await until(lambda: len(consumer.committed) == 2)
    assert consumer.committed == [{FIRST: 1}, {FIRST: 3, SECOND: 7}]


async def test_flush_commits_what_waits(consumer: RecordingConsumer, commits: Commits) -> None:
    """It waits for the request under way and sends the rest; then nothing goes until release."""
    commits.note(FIRST, 1)
    await until(lambda: consumer.committed)
    commits.note(FIRST, 2)
    await commits.flush(GRACE)
    assert consumer.committed[-1] == {FIRST: 2}
    commits.note(FIRST, 3)
    commits.note(SECOND, 4)
    await asyncio.sleep(0)
    assert consumer.committed[-1] == {FIRST: 2}
    commits.release([SECOND])  # the first is somebody else's now
    await until(lambda: consumer.committed[-1] == {SECOND: 4})
    await commits.flush(GRACE)
    assert {FIRST: 3} not in consumer.committed


async def test_failed_commit_ends_with_its_assignment(
    consumer: RecordingConsumer, commits: Commits
) -> None:
    """Who had the partition since then may have committed more, which it would take back."""
    consumer.failure = CommitFailedError()
    commits.note(FIRST, 1)
    commits.note(SECOND, 2)
    await commits.flush(GRACE)
    consumer.failure = None
    commits.release([SECOND])
    await until(lambda: consumer.committed[-1] == {SECOND: 2})
    await commits.flush(GRACE)
    assert consumer.committed == [{FIRST: 1, SECOND: 2}, {SECOND: 2}]


@pytest.mark.parametrize("goes_on", [(), (SECOND,)])
async def test_flush_tells_what_was_dropped_under_it(
    goes_on: Collection[TopicPartition], consumer: RecordingConsumer, commits: Commits
) -> None:
    """An assignment that comes meanwhile may be of others, whose offsets are not committed."""
    consumer.failure = CommitFailedError()
    commits.hold()
    commits.note(FIRST, 0)
    flush = asyncio.create_task(commits.flush(GRACE, insist=True))
    await until(lambda: consumer.committed)
    consumer.failure = None
    commits.release(goes_on)
    assert not await flush
    assert consumer.committed == [{FIRST: 0}]
    commits.note(FIRST, 1)
    assert await commits.flush(GRACE)  # the next one has nothing to do with that


async def test_commit_that_fails_under_a_new_assignment(
    consumer: RecordingConsumer, commits: Commits
) -> None:
    """It is not tried again: its partition may be somebody else's, who has committed more."""
    consumer.gate.clear()
    consumer.failure = CommitFailedError()
    consumer.failures = 1
    commits.note(FIRST, 1)
    commits.note(SECOND, 2)
    flush = asyncio.create_task(commits.flush(GRACE, insist=True))
    await until(lambda: consumer.committed)
    commits.release([SECOND])
    consumer.gate.set()
    assert not await flush
    await until(lambda: consumer.committed[-1] == {SECOND: 2})
    await commits.flush(GRACE)
    assert consumer.committed == [{FIRST: 1, SECOND: 2}, {SECOND: 2}]


async def test_flush_tells_of_partitions_that_are_not_assigned(
    consumer: RecordingConsumer, commits: Commits
) -> None:
    """Their offsets are not committed."""
    commits.hold()
    commits.note(TopicPartition("events", 2), 0)
    commits.note(FIRST, 1)
    assert not await commits.flush(GRACE, insist=True)
    assert consumer.committed == [{FIRST: 1}]


async def test_failed_commit_goes_with_the_next(
    consumer: RecordingConsumer, commits: Commits, caplog: pytest.LogCaptureFixture
) -> None:
    """It is a warning, and its offsets are not forgotten."""
    await refused(consumer, commits, caplog)
    consumer.failure = None
    commits.note(SECOND, 2)
    await until(lambda: consumer.committed[-1] == {FIRST: 1, SECOND: 2})
    assert caplog.messages == ["A commit failed, records will be read again: CommitFailedError."]


async def test_last_flush_insists(
    consumer: RecordingConsumer, commits: Commits, caplog: pytest.LogCaptureFixture
) -> None:
    """A group between two assignments takes no commit, and does a moment later."""
    consumer.failure = CommitFailedError()
    consumer.failures = 12
    commits.note(FIRST, 1)
    assert await commits.flush(11, insist=True)  # with a second between two tries it would not do
    assert consumer.committed == [{FIRST: 1}] * 13
    consumer.failures = 1_000_000
    commits.note(FIRST, 2)
    assert not await commits.flush(0.2, insist=True)  # nor does it insist for longer
    assert consumer.committed[-1] == {FIRST: 2}
    assert "no answer" not in caplog.text  # there was one


async def test_last_try_has_no_answer_after_a_refusal(
    consumer: RecordingConsumer, commits: Commits, caplog: pytest.LogCaptureFixture
) -> None:
    """The refusal was told, and is all that is told."""
    await refused(consumer, commits, caplog)
    consumer.gate.clear()
    assert not await commits.flush(0.05, insist=True)
    assert consumer.committed == [{FIRST: 1}] * 2
    assert caplog.messages == ["A commit failed, records will be read again: CommitFailedError."]


async def test_no_answer_after_partitions_were_dealt_out_anew(
    consumer: RecordingConsumer, commits: Commits, caplog: pytest.LogCaptureFixture
) -> None:
    """An earlier refusal says nothing of it."""
    await refused(consumer, commits, caplog)
    commits.release([FIRST])
    consumer.gate.clear()
    assert not await commits.flush(0.05)
    assert caplog.messages[1:] == [
        "A commit failed, records will be read again: no answer from Kafka."
    ]


async def test_failure_that_may_pass(
    consumer: RecordingConsumer, commits: Commits, caplog: pytest.LogCaptureFixture
) -> None:
    """It is tried again, by a flush that does not insist, too; nobody has to know."""
    consumer.failure = UnknownTopicOrPartitionError()
    consumer.failures = 2
    commits.note(FIRST, 1)
    await until(lambda: len(consumer.committed) == 3)
    commits.hold()
    consumer.failures = 5
    commits.note(FIRST, 2)
    assert await commits.flush(GRACE)
    assert consumer.committed == [{FIRST: 1}] * 3 + [{FIRST: 2}] * 3
    assert caplog.text == ""
    consumer.failures = 1_000_000
    commits.note(FIRST, 3)
    assert not await commits.flush(0.2)
    assert "no answer from Kafka" in caplog.text


async def test_flush_does_not_wait_forever(
    consumer: RecordingConsumer, commits: Commits, caplog: pytest.LogCaptureFixture
) -> None:
    """A request that is not answered is left to itself."""
    consumer.gate.clear()
    commits.note(FIRST, 1)
    assert not await commits.flush(0.05)
    assert "no answer from Kafka" in caplog.text


class DeafConsumer(RecordingConsumer):
    """Misses the cancellation of a commit, as `asyncio.wait_for` may."""

    async def commit(self, offsets: Mapping[TopicPartition, tuple[int, str]]) -> None:
        """Fail instead."""
        try:
            await super().commit(offsets)
        except asyncio.CancelledError:
            raise CommitFailedError from None


async def test_request_that_fails_when_nobody_waits_any_more() -> None:
    """asyncio does not complain that nobody asked for its error."""
    told: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    consumer = DeafConsumer()
    consumer.gate.clear()
    commits = Commits(consumer, on_error=told.append)
    commits.hold()
    commits.note(FIRST, 1)
    assert not await commits.flush(0.05)
    await commits.aclose()
    del commits
    gc.collect()
    assert told == []


async def test_bug_is_told() -> None:
    """An error that is none of Kafka's goes to the owner."""
    errors: list[BaseException] = []
    consumer = RecordingConsumer()
    consumer.failure = AssertionError("a bug")
    commits = Commits(consumer, on_error=errors.append)
    commits.note(FIRST, 1)
    await until(lambda: errors)
    assert errors == [consumer.failure]
    await commits.aclose()


@pytest.mark.kafka
async def test_commit_to_a_frozen_kafka_leaves_nothing_behind(
    any_kafka: EmbeddedTansu | ApacheKafka, brokers: Brokers, topic: str
) -> None:
    """Ended with its consumer, no task of aiokafka's keeps an error that nobody fetches."""
    told: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    consumer = AIOKafkaConsumer(
        topic, **brokers.arguments(), group_id=topic, enable_auto_commit=False
    )
    await consumer.start()
    commits = Commits(consumer, on_error=told.append)
    assert any_kafka.pid is not None
    os.kill(any_kafka.pid, signal.SIGSTOP)
    try:
        commits.note(TopicPartition(topic, 0), 1)
        await commits.flush(0.1)
        await close_consumer(consumer, grace=0.1)
        await commits.aclose()
    finally:
        os.kill(any_kafka.pid, signal.SIGCONT)
    del consumer, commits
    gc.collect()
    await asyncio.sleep(0)
    assert told == []
