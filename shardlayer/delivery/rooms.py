"""The rooms of one node: registered with their shards, delivered, and entered again after a gap.

A room is registered with its first member; members that come later are told where it stands from
memory, without a round trip. What is published to it is fed to its shard's hub, which writes all
that came within one turn of the event loop in the next. All hubs share that turn: those for which
no time is left write in turns of their own.

A room that may have missed something is joined again after its own position: its members see a
pause, and are told if something is gone for good.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Generator, Sequence
from functools import partial
from inspect import GEN_CLOSED, getgeneratorstate
from time import perf_counter
from typing import TypeVar

from shardlayer.aio.tasks import Tasks, is_cancelled
from shardlayer.aio.throttled_log import ThrottledLog
from shardlayer.aio.time_slices import TimeSlices
from shardlayer.broker.values import PAGE, JoinReply, Page
from shardlayer.core.options import LayerOptions
from shardlayer.core.sharding import shard_of
from shardlayer.core.types import Position, Publication, Sink
from shardlayer.delivery.arrivals import Trace
from shardlayer.delivery.catching_up import CatchingUp
from shardlayer.delivery.hub import Hub
from shardlayer.delivery.idle_rooms import IdleRooms
from shardlayer.delivery.member_reports import MemberCounts
from shardlayer.delivery.misdirected import Misdirected
from shardlayer.delivery.reentry import Reentry
from shardlayer.delivery.registration import Registration
from shardlayer.delivery.room import ASKED, ENTERING, LocalRoom, State
from shardlayer.delivery.special_rooms import specials_of

logger = logging.getLogger(__name__)

_OVER = object()  # what a delivery that is over yields

Result = TypeVar("Result")


class Rooms:
    """The rooms of one node, by shard. Not thread-safe.

    Attributes:
        hubs: Each shard's rooms and the delivery to them.
        turns: The turns of the event loop, for all that is written to many.
        misdirected: Counts what was sent in the way that no member takes.
        clients: The sinks that have a name, by it.
    """

    def __init__(
        self,
        registration: Registration,
        counts: MemberCounts,
        options: LayerOptions,
        *,
        turns: TimeSlices,
        tasks: Tasks,
    ) -> None:
        self.misdirected = Misdirected()
        self.clients: dict[str, Sink] = {}
        self.turns = turns
        self._catching_up = CatchingUp()
        self.hubs = [
            Hub(
                slice_size=options.slice_size,
                write_bytes=options.write_bytes,
                max_backlog=options.max_backlog,
                turns=turns,
                misdirected=self.misdirected,
                clients=self.clients,
                special=specials_of(options),
                on_calm=partial(self._write_later, shard),
                on_doubt=partial(self._reenter, shard),
                on_answer=self._catching_up.go_on,
            )
            for shard in range(options.shards)
        ]
        self._registration = registration
        self._counts = counts
        self._shards = options.shards
        self._catch_up_within = options.publish_timeout / 2  # seconds
        self._is_delivering = [False] * options.shards  # or about to
        self._due: deque[int] = deque()  # shards whose deliveries begin in the next turn
        self._beginning: asyncio.Handle | None = None  # of them
        self._calm: dict[LocalRoom, asyncio.TimerHandle] = {}  # when each is to be written to
        self._tasks = tasks.branch()
        self._entries: dict[LocalRoom, asyncio.Task[JoinReply]] = {}  # first questions under way
        self._reentry = Reentry(
            registration, self.hubs, turns, on_admitted=self._deliver, tasks=self._tasks
        )
        self._idle = IdleRooms(self.hubs, registration, options, tasks=self._tasks)
        self._complain_of_overflow = ThrottledLog(logger, logging.WARNING)

    def shard_of(self, name: str) -> int:
        """Return the shard of a room."""
        return shard_of(name, self._shards)

    def hub_of(self, name: str) -> Hub:
        """Return the hub of a room."""
        return self.hubs[self.shard_of(name)]

    def find(self, name: str) -> LocalRoom | None:
        """Return the room of that name, if there is one."""
        return self.hub_of(name).rooms.get(name)

    def members(self, name: str) -> int:
        """Return how many members a room has in this node."""
        room = self.find(name)
        return len(room) if room is not None else 0

    def __len__(self) -> int:
        """Return how many rooms have members in this node, or had until a moment ago."""
        return sum(len(hub.rooms) for hub in self.hubs)

    async def ensure_entered(
        self, room: LocalRoom, since: Position | None = None, page: Page = PAGE
    ) -> JoinReply | None:
        """Have a room registered; return the answer if it was done for this caller.

        A `page` of what came after `since` is asked for only then. Whoever calls while it is under
        way waits for it too.

        Raises:
            ShardUnavailable: If the room could not be registered within `publish_timeout`.
        """
        if room.state is State.NEW:
            self.hub_of(room.name).enter(room)
            entry = self._tasks.share(self._run_entry(room, since, page), f"enter {room.name}")
            self._entries[room] = entry
            return await self._outcome(room, entry)
        if room.state in ENTERING:
            await self._outcome(room, self._entries[room])
        return None

    async def _outcome(self, room: LocalRoom, entry: asyncio.Task[Result]) -> Result:
        """Wait for an entry, which goes on if its caller does not."""
        try:
            return await asyncio.shield(entry)
        except asyncio.CancelledError:
            if is_cancelled():
                raise
            shard = self.shard_of(room.name)
            raise self._registration.unavailable(shard, "the layer was closed") from None

    async def missed(self, room: LocalRoom, since: Position, page: Page = PAGE) -> JoinReply:
        """Ask the shard for a page of what was published to a room after a position.

        The answer is of the epoch that the room has come to: if it is ahead, it waits.

        Raises:
            ShardUnavailable: If the shard did not answer within `publish_timeout`, or the room did
                not come to its epoch within half of that again.
        """
        shard = self.shard_of(room.name)
        reply = await self._ask(shard, room, since, page)
        if not _is_ahead(reply, room):
            return reply
        try:
            async with asyncio.timeout(self._catch_up_within):
                while _is_ahead(reply, room):
                    if self._catching_up.is_closed:
                        raise self._registration.unavailable(shard, "the layer was closed")
                    if room.state is State.LIVE:  # else it is asked about, or answered, already
                        self.hubs[shard].miss(room)
                    await self._catching_up.wait(room)
                    if _is_ahead(reply, room):  # of which the room may have come to a later epoch
                        reply = await self._ask(shard, room, since, page)
        except TimeoutError:
            raise self._registration.unavailable(shard, "a room's count is not known") from None
        return reply

    async def _ask(
        self, shard: int, room: LocalRoom, since: Position | None, page: Page
    ) -> JoinReply:
        return await self._registration.join(
            shard, room.name, members=len(room), since=since, page=page
        )

    def changed(self, room: LocalRoom) -> None:
        """Note that a room's members changed; without any it is forgotten after the linger."""
        shard = self.shard_of(room.name)
        self._counts.changed(shard, room)
        self._idle.changed(shard, room)

    def feed(
        self,
        shard: int,
        publications: Sequence[Publication],
        size: int,
        since: float = 0.0,
        traces: Sequence[Trace] = (),
    ) -> None:
        """Take publications that arrived from a shard, in order, and have them delivered.

        `size` is what they take in bytes; `since` and `traces` are as in `Arrived`.
        """
        hub = self.hubs[shard]
        if not hub.feed(publications, size, since, traces):
            self._complain_of_overflow(
                "Shard %d: this process is too slow for what is published. What waited, more than "
                "max_backlog, was dropped; rooms go on from their histories. %d publications of "
                "rooms without history were lost so far",
                shard,
                hub.dropped,
            )
        self._deliver(shard)

    def resumed(self, shard: int) -> None:
        """Ask again where all rooms of a shard are, since something may have been missed."""
        self._reentry.doubt(shard)

    def enter_again(self, room: LocalRoom) -> None:
        """Ask for what a room missed."""
        self.hub_of(room.name).miss(room)

    def cleared(self, name: str, at: Position) -> None:
        """Keep nothing of what was published to a room up to a position, whose history is gone."""
        self.hub_of(name).cleared(name, at)

    def flushed(self, shard: int) -> None:
        """End the memberships of all channels in a shard's groups; sinks stay in their rooms."""
        hub = self.hubs[shard]
        for room in list(hub.rooms.values()):
            hub.members -= len(room.channels)
            room.channels.clear()
            if room.sinks or room.state in ASKED:
                hub.miss(room)  # its node is registered no more, whatever the answer says
                self.changed(room)
            else:
                hub.forget(room)
                self._counts.forget(shard, room.name)
                self._idle.forget(shard, room.name)

    def start(self) -> None:
        """Begin to forget rooms that nobody is in, in a task that `aclose` ends."""
        self._idle.start()

    async def aclose(self) -> None:
        """Stop entering, forgetting and delivering. Members are not told."""
        if self._beginning is None:
            self._beginning = asyncio.get_running_loop().call_soon(self._begin_deliveries)
        self._beginning.cancel()  # for good: while it stands, no other is called for
        for timer in self._calm.values():
            timer.cancel()
        self._calm.clear()
        self._catching_up.close()
        await self._tasks.aclose()

    def _deliver(self, shard: int) -> None:
        """Deliver what waits, after what else this turn of the event loop brings."""
        if not self._is_delivering[shard]:
            self._is_delivering[shard] = True
            self._due.append(shard)
            if self._beginning is None:
                self._begin_soon()

    def _begin_soon(self) -> None:
        self._beginning = asyncio.get_running_loop().call_soon(self._begin_deliveries)

    def _write_later(self, shard: int, room: LocalRoom, seconds: float) -> None:
        """Have what waits in a calm room written when that may be."""
        loop = asyncio.get_running_loop()
        self._calm[room] = loop.call_later(seconds, self._write_now, shard, room)

    def _write_now(self, shard: int, room: LocalRoom) -> None:
        del self._calm[room]
        self.hubs[shard].calm.is_due(room)
        self._deliver(shard)

    def _begin_deliveries(self) -> None:
        """Begin what is due; together it takes no more than one turn's time."""
        self._beginning = None
        self.turns.begin()
        try:
            for _ in range(len(self._due)):
                self._begin_delivery(self._due.popleft())
        finally:
            self.turns.end()
            if self._due and self._beginning is None:  # after an error, which is of one shard
                self._begin_soon()

    def _begin_delivery(self, shard: int) -> None:
        steps = self.hubs[shard].deliver()
        try:
            # A task would cost as much as a delivery to a few members, and few need a second turn.
            if perf_counter() >= self.turns.ends or next(steps, _OVER) is not _OVER:
                task = self._tasks.spawn(self._go_on(shard, steps), f"delivery of shard {shard}")
                task.add_done_callback(partial(self._see_to_end, shard, steps))
                return
        except BaseException:
            self._is_delivering[shard] = False
            raise
        self._is_delivering[shard] = False

    async def _go_on(self, shard: int, steps: Generator[None, None, None]) -> None:
        try:
            await self.turns.wait()
            for _ in steps:
                await self.turns.wait()
        finally:
            steps.close()
            self._is_delivering[shard] = False

    def _see_to_end(
        self, shard: int, steps: Generator[None, None, None], task: asyncio.Task[None]
    ) -> None:
        if getgeneratorstate(steps) != GEN_CLOSED:  # the task was cancelled before its first step
            steps.close()
            self._is_delivering[shard] = False

    async def _run_entry(self, room: LocalRoom, since: Position | None, page: Page) -> JoinReply:
        # Admits before it ends: who finds the task done must find the room entered.
        shard = self.shard_of(room.name)
        try:
            reply = await self._ask(shard, room, since, page)
        except BaseException:
            self.hubs[shard].refuse(room)  # whoever waited leaves, and the room lingers out
            raise
        finally:
            del self._entries[room]
        self.hubs[shard].admit(room, reply)
        self._deliver(shard)
        return reply

    def _reenter(self, shard: int, room: LocalRoom) -> None:
        """Ask for what a room missed, until the shard answers; its publications wait meanwhile."""
        self._reentry.ask(shard, room)


def _is_ahead(reply: JoinReply, room: LocalRoom) -> bool:
    """Tell whether a room's shard counts under an epoch to which the room has not come yet."""
    return (
        reply.position is not None
        and room.position is not None
        and reply.position.epoch != room.position.epoch
        and room.state is not State.FORGOTTEN
    )
