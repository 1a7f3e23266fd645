"""Whether the marks of a partition are of the log that is there now.

The layer skips what its marks say it has (`ShardedChannelLayer.publish_marked`). A broker that lost
its data counts the same topic's offsets anew: then the marks lie beyond the log's end and must be
forgotten, or as many new records would be skipped. So does a topic that was made again where it has
no id; with one, its marks have another name (`source_of`).

This can't be seen if the new log has grown beyond the old marks before anybody looked.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from aiokafka import TopicPartition

from realtime.kafka.publishing.partitions import source_of
from realtime.outage import Outage
from shardlayer import Mark, ShardedChannelLayer, ShardUnavailable

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")


def announcements_of(source: str) -> str:
    """Return the source that a partition's announcements have in marks.

    One of their own: they take another way to their shard than the partition's publications,
    and each source has to keep its order there.
    """
    return f"{source}/announcements"


class PartitionMarks:
    """The marks of the partitions that were assigned, asked for once.

    Args:
        layer: Who keeps them.
        outage: Told when a shard does not answer, and when all do.
    """

    def __init__(self, layer: ShardedChannelLayer, outage: Outage) -> None:
        self._layer = layer
        self._outage = outage
        self._asking: asyncio.Task[dict[str, Mark | None]] | None = None
        self._asked: dict[TopicPartition, str] = {}

    def ask(self, sources: Mapping[TopicPartition, str]) -> None:
        """Begin to ask for the marks of these, and no others; asked until all shards answer.

        Args:
            sources: The names that the partitions have in marks.
        """
        self.drop()
        self._asked = dict(sources)
        self._asking = asyncio.create_task(self._ask(), name="realtime: ask for marks")

    def drop(self) -> None:
        """Know no marks, and ask for none, until `ask`."""
        if self._asking is not None:
            self._asking.cancel()
        self._asking = None

    @property
    def are_known(self) -> bool:
        """Whether the answer is there."""
        asking = self._asking
        if asking is None or not asking.done() or asking.cancelled():
            return False
        return asking.exception() is None

    async def known(self, *, within: float) -> bool:
        """Wait for the answer for so many seconds; return whether it is there.

        It is not if others are asked for meanwhile, or none.
        """
        asking = self._asking
        if asking is None:
            return False
        await asyncio.wait([asking], timeout=within)
        return asking is self._asking and asking.done()

    def when_known(self, call: Callable[[], None]) -> None:
        """Have `call` called once the answer is there."""

        def told(asking: asyncio.Task[object]) -> None:
            if not asking.cancelled():
                call()

        if self._asking is not None:
            self._asking.add_done_callback(told)

    def lie_beyond(self, partition: TopicPartition, log_end: int) -> bool:
        """Say whether a partition was published up to the end of its log, or beyond; once known.

        That is so, too, if the end is older than the marks, or of a follower that lags.
        """
        return self._last(partition) >= log_end

    async def forget(self, partition: TopicPartition, *, log_end: int) -> None:
        """Forget the marks of a partition, since its log ends before they do.

        Called before anything of the partition is published. Waits for as long as it takes to
        forget them, unless partitions are dealt out anew: then they are another reader's.
        """
        asking = self._asking
        logger.warning(
            "%s ends at offset %d, but was published up to offset %d: the topic was made again, or "
            "its broker lost data. Its marks are forgotten.",
            *(source_of(partition), log_end, self._last(partition)),
        )
        sources = _both(self._asked.pop(partition))  # the answer is of the marks that were

        async def forget_ours() -> None:
            if self._asking is asking:
                await self._layer.forget_marks(sources)

        await self._insist(forget_ours)

    def _last(self, partition: TopicPartition) -> int:
        """Return the offset of the last record that was published; -1 if there is none."""
        if self._asking is None or partition not in self._asked:
            return -1
        marks = self._asking.result()
        sources = _both(self._asked[partition])
        return max((mark.offset for key in sources if (mark := marks[key])), default=-1)

    async def aclose(self) -> None:
        """Stop asking."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait([self._asking])

    async def _ask(self) -> dict[str, Mark | None]:
        sources = [each for source in self._asked.values() for each in _both(source)]
        return await self._insist(partial(self._layer.marks, sources))

    async def _insist(self, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        while True:
            try:
                answer = await ask()
            except ShardUnavailable as error:
                await asyncio.sleep(self._outage.failed(error))
            else:
                self._outage.over()
                return answer


def _both(source: str) -> Sequence[str]:
    return [source, announcements_of(source)]
