"""Telling Kafka how far a consumer has come, beside its work."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from shardlayer import Backoff, take_note

logger = logging.getLogger(__name__)

Position = tuple[int, str]
"""An offset, and the text that Kafka keeps beside it."""

INTERVAL = 1.0  # seconds between two commits: a late one costs reading again, and nothing else
RETRY_FIRST = 0.05  # seconds until a flush that insists tries again what was refused
RETRY_MAX = 0.5


class Commits:
    """Commits the newest offsets of all partitions, one request at a time.

    A commit that fails is a warning: the records are published, and who reads them again has
    them skipped by their marks. The next commit covers it. One that fails for now, since Kafka is
    away, say, is tried again without a word.

    Args:
        consumer: Whose offsets; to be started.
        on_error: Called with an error that is none of Kafka's.
    """

    def __init__(
        self, consumer: AIOKafkaConsumer, *, on_error: Callable[[BaseException], None]
    ) -> None:
        self._waiting: dict[TopicPartition, Position] = {}
        self._under_way: dict[TopicPartition, Position] = {}
        self._consumer = consumer
        self._on_error = on_error
        self._dropped = 0  # offsets that were noted and will not be committed
        self._held = False
        self._is_failing = False
        self._fails_for_now = False  # with an error that may pass
        self._pump: asyncio.Task[None] | None = None
        self._commit: asyncio.Task[None] | None = None

    def note(self, partition: TopicPartition, offset: int, text: str = "") -> None:
        """Have an offset committed soon, and a text beside it, which replaces that of before."""
        self._waiting[partition] = (offset, text)
        if self._pump is None and not self._held:
            self._pump = asyncio.create_task(self._run(), name="realtime: commit to Kafka")

    async def flush(self, grace: float, *, insist: bool = False) -> bool:
        """Commit all that waits, and hold what comes from now on until `release`.

        A Kafka that does not answer in `grace` seconds is left to it. Returns whether all of it is
        committed: not if a part was dropped meanwhile, since its partition is somebody else's.

        Args:
            grace: Seconds.
            insist: Try again what is refused, too, while there is time: the group may be between
                two assignments. Not to be used while it waits for the caller.
        """
        self.hold()
        dropped = self._dropped
        pauses = Backoff(RETRY_FIRST, RETRY_MAX)
        try:
            async with asyncio.timeout(grace):
                while self._commit is not None or self._waiting:
                    if self._commit is None:
                        self._begin()
                    elif not await self._ended(self._commit):
                        if not insist and not self._fails_for_now:
                            break
                        await asyncio.sleep(pauses.failed())
        except TimeoutError:
            unanswered = self._commit is not None or self._fails_for_now
            if unanswered and not self._is_failing:  # a refusal was told when it came
                logger.warning("A commit failed, records will be read again: no answer from Kafka.")
        return self._commit is None and not self._waiting and self._dropped == dropped

    def hold(self) -> None:
        """Begin no commit from now on until `release`: it would connect a closed client anew."""
        self._held = True

    def release(self, partitions: Collection[TopicPartition]) -> None:
        """Go on, and forget what waits of all partitions but these, or fails from now on.

        Somebody else may have had the others since, and have committed more.
        """
        self._held = self._is_failing = False
        waiting, self._waiting = self._waiting, {}
        others = (waiting.keys() | self._under_way.keys()) - set(partitions)
        self._dropped += len(others)
        for partition in others:
            self._under_way.pop(partition, None)
        for partition in waiting.keys() - others:
            self.note(partition, *waiting[partition])

    async def aclose(self) -> None:
        """End; to be called when the consumer is closed, which ends a commit under way."""
        tasks = [task for task in (self._pump, self._commit) if task is not None]
        for task in tasks:
            task.cancel()  # it would be tried again forever
        if tasks:
            await asyncio.wait(tasks)

    async def _run(self) -> None:
        try:
            while self._waiting and not self._held:
                if self._commit is None:
                    self._begin()
                commit = self._commit
                if commit and not await self._ended(commit) and not self._fails_for_now:
                    break
                await asyncio.sleep(INTERVAL)
        except Exception as error:  # told to the owner, who ends it all
            self._on_error(error)
        finally:
            self._pump = None

    def _begin(self) -> None:
        assigned = self._consumer.assignment()
        self._under_way = {key: end for key, end in self._waiting.items() if key in assigned}
        self._dropped += len(self._waiting) - len(self._under_way)
        self._waiting.clear()
        if self._under_way:
            # A task of its own: who waits for it may give up, but aiokafka's commit must not be
            # cancelled while its connection is open (see closing.py).
            commit = self._consumer.commit(dict(self._under_way))
            self._commit = asyncio.create_task(commit, name="realtime: one commit to Kafka")
            self._commit.add_done_callback(take_note)

    async def _ended(self, commit: asyncio.Task[None]) -> bool:
        """Wait for a commit and return whether it succeeded."""
        await asyncio.wait([commit])
        if self._commit is not commit:  # somebody else waited too, and was first
            return True
        self._commit = None
        under_way, self._under_way = self._under_way, {}
        try:
            commit.result()
        except KafkaError as error:
            self._waiting = under_way | self._waiting
            self._fails_for_now = error.retriable
            if self._fails_for_now:
                return False
            # Said once: more fail until the group has dealt the partitions out anew.
            level = logging.DEBUG if self._is_failing else logging.WARNING
            reason = type(error).__name__
            logger.log(level, "A commit failed, records will be read again: %s.", reason)
            self._is_failing = True
            return False
        self._is_failing = self._fails_for_now = False
        return True
