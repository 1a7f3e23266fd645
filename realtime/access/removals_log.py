"""Who was put out of which room: a log of its own, which remembers it for as long as tokens live.

It stands beside the log of revocations, which tells the workers at once and soon forgets: that one
has an entry for each sign-out, so strangers fill it. This one is written by programs alone.
"""

from __future__ import annotations

import asyncio
import logging
import time
from weakref import ref

from realtime.access.first_reading import FirstReading
from realtime.access.revocations import (
    CLOCK_SKEW,
    MAX_REVOCATIONS,
    RETRY_PAUSE,
    Revocation,
    Revocations,
    parsed_push,
)
from realtime.conf import conf
from realtime.rooms.room_names import REMOVALS_ROOM
from shardlayer import BEGINNING, Broadcast, HistoryPolicy, Node, ShardUnavailable, Tasks, Throttle

logger = logging.getLogger(__name__)


def policy() -> HistoryPolicy:
    """Return what the log's room remembers, by the settings."""
    return HistoryPolicy(size=MAX_REVOCATIONS, ttl=conf().removal_lifetime)


class RemovalsLog:
    """Follows the log for a node, as a sink in its room. The owner must await `aclose()`.

    Args:
        node: Of the running loop.
        tasks: Of the owner.
        known: What learns from it.

    Attributes:
        reading: Done once it was read.
    """

    def __init__(self, node: Node, *, tasks: Tasks, known: Revocations) -> None:
        self.reading = FirstReading(tasks, "realtime: wait for who was put out of rooms")
        self._node = ref(node)  # whoever keeps logs by their nodes must not keep the nodes
        self._known = known
        self._lost = asyncio.Event()
        self._complaint = Throttle()
        self._task = tasks.supervise(self._follow, "realtime: follow who was put out of rooms")

    async def aclose(self) -> None:
        """Stop following."""
        self.reading.give_up()
        self._task.cancel()
        await asyncio.wait([self._task])
        if (node := self._node()) is not None:
            node.leave(REMOVALS_ROOM, self)

    # As a sink.

    def write(self, broadcast: Broadcast) -> None:
        """Take what the room pushes. It raises nothing: else the log would be put out of it."""
        self._learn(broadcast)

    def close(self, code: int, reason: str = "") -> None:
        """Do nothing: nobody closes a worker's own sink."""

    # Inside.

    async def _follow(self) -> None:
        """Read the log, and again after a loss; until then counts what was read before."""
        while (node := self._node()) is not None:
            self._lost.clear()
            try:
                await self._read(node)
            except ShardUnavailable as error:
                logger.debug("Who was put out of rooms can't be read yet: %s", error)
                await asyncio.sleep(RETRY_PAUSE)
                continue
            self.reading.finish()
            del node
            await self._lost.wait()

    async def _read(self, node: Node) -> None:
        """Read what the room holds, and hear all that follows."""
        joined = await node.join(REMOVALS_ROOM, self, BEGINNING)
        held = [self._take(parsed_push(item.data)) for item in joined.publications]
        while joined.is_behind:
            for broadcast in await node.read_on(joined):
                held += self._learn(broadcast)
        # What has gone by its age concerns nothing any more; of too many, the oldest had to go.
        since = held[0] + CLOCK_SKEW if len(held) >= MAX_REVOCATIONS else 0.0
        self._known.removals_complete_since(since)
        joined.release()

    def _learn(self, broadcast: Broadcast) -> list[float]:
        """Learn the entries of pushes, and return their times in Unix seconds."""
        times = []
        for text in broadcast.texts:
            push = parsed_push(text)
            if "data" in push:
                times.append(self._take(push["data"]))
            else:  # a reset: something was missed that nobody can bring back
                self._lost.set()
        return times

    def _take(self, value: object) -> float:
        """Learn an entry, and return its time; now, if it is none."""
        now = time.time()
        entry = Revocation.from_json(value, now)
        if entry is None or not entry.room:
            if self._complaint.is_due():
                logger.error("The room %s has an invalid entry: %.200r", REMOVALS_ROOM, value)
            return now
        self._known.learn(entry, now)
        return entry.at
