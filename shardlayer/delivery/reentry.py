"""Asking again where rooms are: after a gap, an overflow, a lost connection or a lapsed lease.

A node that comes back has to ask about each of its rooms. When a Redis comes back, all its nodes do
so at once. So one task asks about the rooms of a shard, some dozens in one write. Before it builds
a write or takes the answers, it waits for its turn of the event loop, which it shares with the
deliveries of the node. When a shard is heard again, its task begins after a short random time, so
that the nodes do not come all at once.

If a whole shard is to be asked about, each room stays live until its turn comes, or somebody comes
back to it whose answer is of a newer epoch. What is heard of it meanwhile is written, or leaves a
gap, which is seen.

The answers of one write have a page's bytes together. A room whose next publication is larger than
its part of them is asked about alone.

A shard's script decides what the answer is, and the room's hub takes it (`Hub.admit`). All
conclusions from a room's position after its server was away belong there.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Callable, Sequence

from shardlayer.aio.keyed_tasks import KeyedTasks
from shardlayer.aio.tasks import Tasks
from shardlayer.aio.throttled_log import ThrottledLog
from shardlayer.aio.time_slices import TimeSlices
from shardlayer.broker.values import PAGE, PAGE_BYTES, JoinReply, Page
from shardlayer.delivery.hub import Hub
from shardlayer.delivery.registration import RETRY_PAUSE, Registration
from shardlayer.delivery.room import LocalRoom, State

logger = logging.getLogger(__name__)

ROOMS_PER_CALL = 50  # some 2 ms of the event loop, to write and to read
SPREAD = 0.2  # seconds within which the nodes that come back begin to ask


class Reentry:
    """Asks the shards of one node about rooms that may have missed something. Not thread-safe.

    Args:
        registration: Asks.
        hubs: Each shard's rooms.
        turns: Of the event loop.
        on_admitted: Called with a shard whose hub has answers to deliver.
        tasks: Of the node's rooms.
    """

    def __init__(
        self,
        registration: Registration,
        hubs: Sequence[Hub],
        turns: TimeSlices,
        *,
        on_admitted: Callable[[int], None],
        tasks: Tasks,
    ) -> None:
        self._registration = registration
        self._hubs = hubs
        self._turns = turns
        self._on_admitted = on_admitted
        self._due: list[deque[LocalRoom]] = [deque() for _ in hubs]  # each room is healing
        self._large: list[deque[LocalRoom]] = [deque() for _ in hubs]  # asked about alone
        self._doubted: list[deque[LocalRoom]] = [deque() for _ in hubs]  # if they still exist
        self._broken = [0] * len(hubs)  # rounds, when rooms were last asked about
        self._workers: KeyedTasks[int] = KeyedTasks(tasks)  # by shard
        self._complain = ThrottledLog(logger, logging.ERROR)

    def ask(self, shard: int, room: LocalRoom) -> None:
        """Ask about a room that is healing, as soon as may be."""
        self._due[shard].append(room)
        self._begin(shard, spread=0.0)

    def doubt(self, shard: int) -> None:
        """Ask about all rooms that a shard has now, each when its turn comes."""
        self._doubted[shard] = deque(self._hubs[shard].rooms.values())
        if self._doubted[shard]:
            self._begin(shard, spread=SPREAD)

    def _begin(self, shard: int, spread: float) -> None:
        pause = random.uniform(0, spread)  # noqa: S311 (jitter)
        self._workers.supervise(
            shard, lambda: self._work(shard, pause), f"enter rooms of shard {shard} again"
        )

    async def _work(self, shard: int, pause: float) -> None:
        if pause:
            await asyncio.sleep(pause)
        while self._due[shard] or self._large[shard] or self._doubted[shard]:
            if self._hubs[shard].broken_rounds != self._broken[shard]:
                # Else what can't be delivered would be asked for on and on.
                self._broken[shard] = self._hubs[shard].broken_rounds
                await asyncio.sleep(RETRY_PAUSE)
            await self._turns.wait()
            batch = self._next(shard)
            try:
                if batch and not await self._enter(shard, batch):
                    await asyncio.sleep(RETRY_PAUSE)
            finally:
                self._due[shard].extendleft(reversed(batch))  # those that have no answer

    def _next(self, shard: int) -> deque[LocalRoom]:
        """Return who is asked about next, in one write."""
        hub, due, doubted = self._hubs[shard], self._due[shard], self._doubted[shard]
        if self._large[shard]:
            return deque([self._large[shard].popleft()])
        for _ in range(min(ROOMS_PER_CALL, len(doubted))):
            if len(due) >= ROOMS_PER_CALL:
                break
            room = doubted.popleft()
            if room.state is not State.FORGOTTEN:
                hub.miss(room)  # which makes it due, unless it is asked about, or answered, now
        return deque([due.popleft() for _ in range(min(ROOMS_PER_CALL, len(due)))])

    async def _enter(self, shard: int, batch: deque[LocalRoom]) -> bool:
        """Ask about rooms, and take from the batch who has an answer; False if none has."""
        hub = self._hubs[shard]
        page = PAGE if len(batch) == 1 else Page(PAGE_BYTES // len(batch), least=0)
        for room in batch:
            hub.ask(room)
        members = [(room.name, len(room), room.position) for room in batch]
        try:
            replies = await self._registration.enter_again(shard, members, page)
        except Exception as error:  # any: what is held would be held for good
            self._complain("Rooms of shard %d can't be entered again yet: %s", shard, error)
            return False
        await self._turns.wait()
        failed: list[LocalRoom] = []
        for reply in replies:
            room = batch[0]
            if isinstance(reply, Exception):
                self._complain("%s can't be entered again yet: %s", room.name, reply)
                failed.append(room)
            elif _is_stuck(room, reply):
                self._large[shard].append(room)
            else:
                hub.admit(room, reply)
            batch.popleft()
        self._on_admitted(shard)
        self._due[shard].extend(failed)
        return len(failed) < len(replies)


def _is_stuck(room: LocalRoom, reply: JoinReply) -> bool:
    """Tell whether an answer brings a room no further, though there is more."""
    return reply.reached != reply.position and reply.reached == room.position
