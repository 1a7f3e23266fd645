"""The log of revocations as one event loop follows it: a room that only workers are in.

A room has what a log needs: who is in it hears each entry, in order and within milliseconds; its
history brings a worker that starts up to date; and its offsets show where something is missing.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import pairwise
from math import inf
from typing import Any
from weakref import ref

import orjson

from realtime.access.credential import Credential
from realtime.access.first_reading import FirstReading
from realtime.access.removals_log import RemovalsLog
from realtime.access.revocations import (
    CLOCK_SKEW,
    MAX_REVOCATIONS,
    RETRY_PAUSE,
    Revocation,
    Revocations,
    Verdict,
    parsed_push,
)
from realtime.conf import conf
from realtime.rooms.room_names import CONTROL_ROOM, REMOVALS_ROOM
from shardlayer import (
    BEGINNING,
    Broadcast,
    HistoryPolicy,
    Node,
    Position,
    ShardedChannelLayer,
    ShardUnavailable,
    Tasks,
    Throttle,
)

logger = logging.getLogger(__name__)


def policy() -> HistoryPolicy:
    """Return what the log's room remembers, by the settings."""
    return HistoryPolicy(size=MAX_REVOCATIONS, ttl=conf().revocation_lifetime)


Listener = Callable[[Revocation, float], None]
"""Called with each entry, and with how many seconds later something may have been issued that it
concerns: the clocks' skew if it has just happened, 0 if it is read from the history."""


class RevocationLog:
    """Follows the log for a node, as a sink in its room. The owner must await `aclose()`.

    Args:
        layer: Whose room it is.
        node: Of the running loop.
        tasks: Of the owner.
        lifetime: Seconds for which a sign-out is remembered.
        listener: See `Listener`.

    Attributes:
        heard: Up to which entry the log was heard and the listener has done what it does soon;
            BEGINNING until the log was read. None where the room has no positions.
        known: What is remembered.
        version: How many entries were heard.
    """

    def __init__(
        self,
        layer: ShardedChannelLayer,
        node: Node,
        *,
        tasks: Tasks,
        lifetime: float,
        listener: Listener,
    ) -> None:
        self.heard: Position | None = BEGINNING
        of_rooms = layer.options.policy_of(REMOVALS_ROOM).ttl
        self.known = Revocations(lifetime, of_rooms)
        self.version = 0
        self._layer = layer
        self._node = ref(node)  # whoever keeps logs by their nodes must not keep the nodes
        self._listener = listener
        self._reading = FirstReading(tasks, "realtime: wait for who was signed out")
        self._lost = asyncio.Event()
        self._held: list[tuple[int, float]] | None = None  # offsets and times, while it is read
        self._epoch: str | None = None  # that the offsets are of; None while that is unknown
        self._complaint = Throttle()
        self._task = tasks.supervise(self._follow, "realtime: follow who was signed out")
        self._removals = RemovalsLog(node, tasks=tasks, known=self.known)

    def judge(self, credential: Credential, heard: Position | None = None) -> Verdict:
        """Return whether what was issued to the credential's bearer still counts.

        `heard` says of a note up to where its writer had heard the log.
        """
        now = time.time()
        verdict = self.known.judge_note(credential, heard, now)
        if verdict is Verdict.COUNTS and credential.user_id is not None and not self._is_heard:
            return Verdict.UNKNOWN
        return verdict

    @property
    def _is_heard(self) -> bool:
        node = self._node()
        return node is not None and self._reading.is_done and node.hears(CONTROL_ROOM)

    async def settled(self, within: float) -> bool:
        """Wait until all was read, for so many seconds at most; return whether it was.

        For a worker that starts. Clients wait for what they need, and all together.
        """
        try:
            async with asyncio.timeout(within):
                await self._reading.wait_done()
                await self._removals.reading.wait_done()
        except TimeoutError:
            return False
        return True

    async def sign_outs_read(self, patience: float) -> bool:
        """Wait until it was read who was signed out; return whether it was.

        All who wait do so for the time of the first, in seconds, and later nobody does.
        """
        return await self._reading.wait(patience)

    async def removals_read(self, patience: float) -> bool:
        """Wait as well until it was read who was put out of rooms."""
        return await self._removals.reading.wait(patience)

    async def aclose(self) -> None:
        """Stop following."""
        self._reading.give_up()
        await self._removals.aclose()
        self._task.cancel()
        await asyncio.wait([self._task])
        if (node := self._node()) is not None:
            node.leave(CONTROL_ROOM, self)

    # As a sink.

    def write(self, broadcast: Broadcast) -> None:
        """Take what the room pushes."""
        for text in broadcast.texts:
            self._take(parsed_push(text), CLOCK_SKEW)

    def close(self, code: int, reason: str = "") -> None:
        """Do nothing: nobody closes a worker's own sink."""

    # Inside.

    async def _follow(self) -> None:
        while (node := self._node()) is not None:
            self._lost.clear()
            try:
                await self._read_all(node)
            except ShardUnavailable as error:
                logger.debug("Who was signed out can't be read yet: %s", error)
                await asyncio.sleep(RETRY_PAUSE)
                continue
            self._reading.finish()
            del node
            await self._lost.wait()
            self._reading.begin_again()
            self.known.complete_since(inf)

    async def _read_all(self, node: Node) -> None:
        """Read what the room holds, and hear all that follows."""
        held: list[tuple[int, float]] = []
        self._held = held
        joined = await node.join(CONTROL_ROOM, self, BEGINNING)
        if joined.position is not None:
            self._epoch = joined.position.epoch
            self.known.begin(self._epoch)
        for item in joined.publications:
            self._take({"offset": item.offset, "data": parsed_push(item.data)}, 0.0)
        while joined.is_behind:
            for broadcast in await node.read_on(joined):
                for text in broadcast.texts:
                    self._take(parsed_push(text), 0.0)
        self._held = None
        self.known.complete_since(await self._beginning(held, joined.position))
        missing = 0
        if joined.position is None:
            self.heard = None
        else:
            missing = _missing(held, joined.position)
            self.known.lacks(missing)
            self._has_heard(joined.position.offset)
        joined.release()
        if missing and joined.position is not None and missing == joined.position.offset:
            # The count has leapt, as when Redis was restarted, and no entry says so to the workers
            # that were there before. Until they hear of it, their notes seem to know too little.
            with suppress(ShardUnavailable):
                await self._begin()

    async def _beginning(
        self, held: Sequence[tuple[int, float]], position: Position | None
    ) -> float:
        """Return since when the log is complete, in Unix seconds."""
        if not held:
            if position is not None and position.offset:
                return 0.0  # its last entry is so old that it concerns nothing any more
            return await self._begin()
        first, last = held[0], held[-1]
        since = 0.0
        if first[0] == 1 or len(held) >= MAX_REVOCATIONS:
            since = first[1]  # a new log, after a loss perhaps; or the oldest had to go
        for (before, _), (offset, at) in pairwise(held):
            if offset != before + 1:
                since = at
        if position is not None and position.offset != last[0]:
            since = time.time()
        return since + CLOCK_SKEW if since else 0.0

    async def _begin(self) -> float:
        """Mark where the log goes on: what was before may have been lost."""
        mark = Revocation(at=time.time())
        await self._layer.publish_reserved(CONTROL_ROOM, orjson.dumps(mark.to_json()))
        return mark.at

    def _take(self, push: dict[str, Any], skew: float) -> None:
        """Take a push of the room. It raises nothing: else the log would be put out of its room."""
        now = time.time()
        if "data" not in push:  # a reset: something was missed that nobody can bring back
            self._epoch = None
            self._lost.set()
            return
        offset = push.get("offset", 0)
        entry = Revocation.from_json(push["data"], now)
        if self._held is not None:
            self._held.append((offset, entry.at if entry is not None else now))
        if entry is not None:
            self._learn(entry, offset, skew, now)
        elif self._complaint.is_due():
            logger.error("The room %s has an invalid revocation: %.200r", CONTROL_ROOM, push)
        if self._held is None:
            self._has_heard(offset)

    def _learn(self, entry: Revocation, offset: int, skew: float, now: float) -> None:
        self.version += 1
        self.known.learn(entry, now, 0 if self._epoch is None else offset)
        if entry.user or entry.session:
            self._listener(entry, skew)

    def _has_heard(self, offset: int) -> None:
        """Take note that the log was heard so far, behind what the listener does soon."""
        if self._epoch is not None:
            position = Position(offset, self._epoch)
            asyncio.get_running_loop().call_soon(self._reach, position)

    def _reach(self, position: Position) -> None:
        before = self.heard
        if before is None or before.epoch != position.epoch or before.offset < position.offset:
            self.heard = position


def _missing(held: Sequence[tuple[int, float]], position: Position) -> int:
    """Return the latest offset up to a position whose entry could not be read; 0 if all could."""
    offset = position.offset
    for read, _ in reversed(held):
        if read != offset:
            break
        offset -= 1
    return offset
