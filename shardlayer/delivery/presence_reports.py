"""Who is in which rooms at one node, as it tells the shards.

Who comes and who goes is gathered for a moment, so that one call carries many of them, of all rooms
of a shard. A call that fails is repeated until the shard answers. What the shards have counts while
the node has its leases, which cost the same whatever is in the rooms.

A shard may lose what it was told: its server was restarted, or the node could not renew its lease
and was cleared. The node finds that out with its next call, or by watching, and compares then. It
also watches the other nodes, and clears those whose lease has ended. Before the first person comes
nothing of this runs.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import TypeVar

from shardlayer.aio.side_by_side import side_by_side
from shardlayer.aio.tasks import Tasks
from shardlayer.aio.throttled_log import ThrottledLog
from shardlayer.broker.interface import Presence
from shardlayer.broker.presence_values import ROLL_PAGE, Announcement, Attendee
from shardlayer.core.exceptions import ScriptFailed, ShardUnavailable
from shardlayer.core.options import LayerOptions
from shardlayer.core.types import NodeId
from shardlayer.delivery.clearing import clear_gone
from shardlayer.delivery.registration import RETRY_PAUSE

logger = logging.getLogger(__name__)

JITTER = 0.1  # seconds after the end of a lease within which the nodes look, not all at once
WATCHES_PER_LEASE = 2  # so that a lease which begins after one is seen by the next before it ends

Answer = TypeVar("Answer")
Turned = Callable[[Mapping[str, bool]], None]
"""Learns of rooms that somebody is in now and nobody was before (True), or the other way round."""


class _ShardRoll:
    """What one shard has of this node, and what it is to be told.

    Attributes:
        attendees: Who is here.
        changes: Who has come (True) and gone since it was last told.
        number: Of the last announcement.
        is_doubtful: Whether it may have lost what it was told.
        has_lost: Whether it said itself that it has.
        uncounted: Rooms whose people it is to count anew.
    """

    def __init__(self) -> None:
        self.attendees: dict[Attendee, None] = {}
        self.changes: dict[Attendee, bool] = {}
        self.number = 0
        self.is_doubtful = False
        self.has_lost = False
        self.uncounted: list[str] = []
        self.hurry = asyncio.Event()
        self.teller: asyncio.Task[None] | None = None


class Attendance:
    """Who is in which rooms at one node. Not thread-safe.

    Args:
        node: The node. It is in a room, and has a lease there, before anybody comes to it.
        presence: What is told.
        options: The layer's options.
        on_turned: Told of rooms that this node found turned.
        tasks: Of the node.

    Attributes:
        told: Comings and goings that the shards were told of.
        compared: How often a shard had lost what it was told.
        cleared: Nodes that were found gone and cleared here.
    """

    def __init__(
        self,
        node: NodeId,
        presence: Presence,
        options: LayerOptions,
        *,
        on_turned: Turned,
        tasks: Tasks,
    ) -> None:
        self.told = 0
        self.compared = 0
        self.cleared = 0
        self._node = node
        self._presence = presence
        self._delay = options.presence_delay
        self._linger = options.presence_linger
        self._lingering: dict[Attendee, asyncio.TimerHandle] = {}
        self._patience = options.publish_timeout
        self._watch_pause = options.lease_ttl / WATCHES_PER_LEASE
        self._on_turned = on_turned
        self._tasks = tasks.branch()
        self._rolls = [_ShardRoll() for _ in range(options.shards)]
        self._pauses = [self._watch_pause] * options.shards  # seconds until each shard is watched
        self._is_watching = False
        self._is_closed = False
        self._complain = ThrottledLog(logger, logging.ERROR)

    def __len__(self) -> int:
        """Return how many connections to rooms are told of."""
        return sum(len(roll.attendees) for roll in self._rolls)

    def come(self, shard: int, attendee: Attendee) -> None:
        """Have a shard told that somebody is in a room from now on. O(1), and again is no error."""
        roll = self._rolls[shard]
        self._stay(attendee)
        if not self._is_closed and attendee not in roll.attendees:
            roll.attendees[attendee] = None
            self._change(shard, attendee, has_come=True)
            if not self._is_watching:
                self.watch()

    def go(self, shard: int, attendee: Attendee, *, at_once: bool = False) -> None:
        """Have a shard told that somebody is there no more. O(1), and again is no error.

        It is told when the linger is over, unless `at_once`.
        """
        roll = self._rolls[shard]
        if self._linger and not at_once:
            if attendee in roll.attendees and attendee not in self._lingering:
                loop, end = asyncio.get_running_loop(), partial(self.go, shard, at_once=True)
                self._lingering[attendee] = loop.call_later(self._linger, end, attendee)
            return
        self._stay(attendee)
        if not self._is_closed and attendee in roll.attendees:
            del roll.attendees[attendee]
            self._change(shard, attendee, has_come=False)

    def watch(self) -> None:
        """Begin to watch the nodes that have people in rooms; again is no error."""
        if self._is_watching or self._is_closed:
            return
        self._is_watching = True
        for shard in range(len(self._rolls)):
            self._tasks.repeat(
                partial(self._watch_soon, shard),
                f"presence watch of shard {shard}",
                pause=partial(self._pauses.__getitem__, shard),
                first=random.uniform(0, self._watch_pause),  # noqa: S311 (jitter)
            )

    async def settled(self, shard: int) -> None:
        """Wait until a shard was told what is known now, for `publish_timeout` at most."""
        roll = self._rolls[shard]
        with suppress(TimeoutError):
            async with asyncio.timeout(self._patience):
                for _ in range(2):  # the call that is under way, and the one behind it
                    if roll.teller is None:
                        return
                    roll.hurry.set()
                    await asyncio.wait([roll.teller])

    def doubt(self, shard: int) -> None:
        """Have a shard compared, which may have lost what it was told."""
        roll = self._rolls[shard]
        if roll.number:
            roll.is_doubtful = True
            self._tell_soon(shard)

    async def aclose(self) -> None:
        """Stop, and tell the shards nothing more but `leave`."""
        self._is_closed = True
        for timer in self._lingering.values():
            timer.cancel()
        self._lingering.clear()
        await self._tasks.aclose()

    async def leave(self) -> None:
        """Have nobody of this node in a room, once closed, as far as shards can be reached."""
        rolls = [shard for shard, roll in enumerate(self._rolls) if roll.number]
        # Where a shard does not answer, the end of the lease does it.
        await side_by_side(self._end(shard) for shard in rolls)

    async def _end(self, shard: int) -> None:
        roll = self._rolls[shard]
        left = list(roll.attendees | roll.changes)  # who has gone may not have been told yet
        for start in range(0, len(left), ROLL_PAGE):
            page = left[start : start + ROLL_PAGE]
            self._turn((await self._presence.clear(shard, self._node, page, ends=True)).turned)
        await self._presence.clear(shard, self._node, (), ends=True)

    def _stay(self, attendee: Attendee) -> None:
        """Have somebody not go for having left before."""
        timer = self._lingering.pop(attendee, None)
        if timer is not None:
            timer.cancel()

    def _change(self, shard: int, attendee: Attendee, *, has_come: bool) -> None:
        changes = self._rolls[shard].changes
        if changes.get(attendee, has_come) != has_come:
            del changes[attendee]  # it was not told of the one, and needs not be told of the other
            return
        changes[attendee] = has_come
        self._tell_soon(shard)

    def _tell_soon(self, shard: int) -> None:
        roll = self._rolls[shard]
        if roll.teller is None and not self._is_closed:
            name = f"presence of {self._node} on shard {shard}"
            roll.hurry.clear()
            roll.teller = self._tasks.supervise(partial(self._tell, shard), name)
            roll.teller.add_done_callback(partial(self._told, shard))

    def _told(self, shard: int, _: asyncio.Task[None]) -> None:
        roll = self._rolls[shard]
        roll.teller = None
        if roll.changes or roll.is_doubtful:
            self._tell_soon(shard)

    async def _tell(self, shard: int) -> None:
        roll = self._rolls[shard]
        with suppress(TimeoutError):
            async with asyncio.timeout(self._delay):
                await roll.hurry.wait()
        try:
            if roll.is_doubtful and await self._answered(shard, partial(self._compare, shard)):
                await self._announce(shard)  # even if there is nothing to tell: to be known again
            while roll.changes:
                await self._announce(shard)
            if roll.uncounted and not roll.is_doubtful:
                rooms, roll.uncounted = roll.uncounted, []
                recount = partial(self._presence.recount, shard, rooms)
                self._turn(await self._answered(shard, recount))
        except BaseException:
            roll.is_doubtful = roll.has_lost = roll.number > 0
            raise

    async def _announce(self, shard: int) -> None:
        """Tell a shard some of the changes."""
        roll = self._rolls[shard]
        told = [*roll.changes.items()][:ROLL_PAGE]
        for attendee, _ in told:
            del roll.changes[attendee]
        roll.number += 1
        announcement = Announcement(
            self._node,
            roll.number,
            [attendee for attendee, has_come in told if has_come],
            [attendee for attendee, has_come in told if not has_come],
        )
        announce = partial(self._presence.announce, shard, announcement)
        announced = await self._answered(shard, announce)
        self.told += len(told)
        self._turn(announced.turned)
        if not announced.known:
            roll.is_doubtful = roll.has_lost = True

    async def _answered(self, shard: int, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        """Ask a shard again and again until it answers."""
        while True:
            try:
                return await ask()
            except ShardUnavailable as error:
                logger.debug("%s", error)  # said by whoever enters or publishes
            except ScriptFailed as error:
                self._complain("Shard %d can't be told who is in its rooms: %s", shard, error)
            await asyncio.sleep(RETRY_PAUSE)

    async def _compare(self, shard: int) -> bool:
        """Find out whether a shard has lost anything, and then what it lacks or has too much."""
        roll = self._rolls[shard]
        roll.is_doubtful = False
        watch = await self._presence.watch(shard, self._node, roll.number)
        if watch.known and not roll.has_lost:
            return False
        self.compared += 1
        there: set[Attendee] = set()
        after: Attendee | None = None
        while page := await self._presence.roll(shard, self._node, after=after):
            there.update(page)
            after = page[-1]
        roll.has_lost = False
        here = roll.attendees
        roll.changes = {each: True for each in here if each not in there}
        roll.changes |= {each: False for each in there if each not in here}
        if watch.miscounted:
            roll.uncounted = list({each.room: None for each in here})
        return True

    async def _watch_soon(self, shard: int) -> None:
        try:
            await self._watch(shard)
        except ShardUnavailable as error:
            logger.debug("%s", error)  # said by whoever enters or publishes
            self._pauses[shard] = RETRY_PAUSE + self._jitter()

    async def _watch(self, shard: int) -> None:
        roll = self._rolls[shard]
        number = roll.number
        watch = await self._presence.watch(shard, self._node, number)
        if not watch.known and number == roll.number and roll.teller is None:
            self.doubt(shard)
        for node in watch.gone:
            if node == self._node:
                continue  # it learns of its lease by renewing it
            self.cleared += 1
            self._turn(await clear_gone(self._presence, shard, node))
        ends_in = self._watch_pause if watch.ends_in is None else watch.ends_in
        self._pauses[shard] = min(ends_in, self._watch_pause) + self._jitter()

    @staticmethod
    def _jitter() -> float:
        return random.uniform(0, JITTER)  # noqa: S311 (jitter)

    def _turn(self, turned: Mapping[str, bool]) -> None:
        if turned:
            self._on_turned(turned)
