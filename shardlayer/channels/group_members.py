"""Which channels of one node are members of which groups, and how a group's message reaches them.

A group with channels is a room like one with sinks, registered and given up in the same way. What
is sent to it arrives as bytes, which each member's mailbox takes or, if it is full, misses.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from secrets import token_bytes

from shardlayer.aio.keyed_tasks import KeyedTasks
from shardlayer.aio.loop_delay import stall_tolerant_timeout
from shardlayer.aio.tasks import Tasks
from shardlayer.aio.throttled_log import ThrottledLog
from shardlayer.broker.interface import Queues
from shardlayer.channels.mailboxes import Mailboxes
from shardlayer.core.exceptions import ShardLayerError, ShardUnavailable
from shardlayer.core.options import LayerOptions
from shardlayer.core.types import NodeId
from shardlayer.delivery.room import LocalRoom, Membership
from shardlayer.delivery.rooms import Rooms

logger = logging.getLogger(__name__)

SWEEP_INTERVAL = 60.0  # seconds between two looks for memberships that ended, at most
SWEEPS_PER_EXPIRY = 4  # so that one lasts little longer than it should
RETRY_PAUSE = 0.2  # seconds between two tries to register what another process asked for
ECHO_TIMEOUT = 1.0  # seconds for what the node sends itself to come back from a shard
TOKEN_BYTES = 8


class GroupMembers:
    """The memberships of one node's channels in groups. Not thread-safe.

    Args:
        node: The node.
        rooms: Its rooms, among them its groups.
        mailboxes: Where its channels are received.
        queues: Have it hear echoes, in order with publications.
        expiry: Seconds that a membership lasts.
        tasks: Of the node.

    Attributes:
        missed: Messages that members missed because they were full.
    """

    def __init__(
        self,
        node: NodeId,
        rooms: Rooms,
        mailboxes: Mailboxes,
        queues: Queues,
        *,
        expiry: float,
        tasks: Tasks,
    ) -> None:
        self.missed = 0
        self._node = node
        self._rooms = rooms
        self._mailboxes = mailboxes
        self._queues = queues
        self._expiry = expiry
        self._echoes: dict[bytes, Callable[[], None]] = {}  # what is done when one comes, by token
        self._leaving: dict[tuple[str, str], set[bytes]] = {}  # those discarded of late: tokens
        self._tasks = tasks.branch()
        self._registering: KeyedTasks[tuple[str, str]] = KeyedTasks(self._tasks)
        self._complain = ThrottledLog(logger, logging.ERROR)
        self._complain_of_full = ThrottledLog(logger, logging.WARNING)

    def start(self) -> None:
        """Begin to end the memberships whose time is over, in a task that `aclose` ends."""
        self._tasks.repeat(self.sweep, "expire memberships of groups", pause=self._pause)

    async def sweep(self) -> None:
        """End the memberships whose time is over.

        A group's next message would do it, too. Consumers that died in a group to which nothing
        is sent would stay in it.
        """
        self._mailboxes.sweep()
        for hub in self._rooms.hubs:
            await self._rooms.turns.wait()  # each shard's in a turn of the event loop
            now = asyncio.get_running_loop().time()
            for room in [room for room in hub.rooms.values() if room.channels]:
                for channel, membership in list(room.channels.items()):
                    if membership.ends <= now:
                        self.discard(room.name, channel)

    async def add(self, group: str, channel: str) -> None:
        """Make a channel of this node a member of a group; again prolongs it.

        A call that fails or is cancelled changes nothing. One that was discarded in order a moment
        ago is a member behind what was published until now.

        Raises:
            ShardUnavailable: If the group could not be registered within `publish_timeout`.
        """
        if (group, channel) in self._leaving:
            await self._follow(group, channel)
        await self._register(*self._enlist(group, channel))

    def add_soon(self, group: str, channel: str) -> None:
        """Make a channel a member because another process said so.

        A member at once, since its messages follow; registered as soon as may be. That is tried for
        as long as it is a member: who asked for it was told that it is one.
        """
        self._enlist(group, channel)
        self._registering.supervise(
            (group, channel), partial(self._register_soon, group, channel), f"add to {group}"
        )

    def discard(self, group: str, channel: str) -> None:
        """End a channel's membership, if there is one."""
        room = self._rooms.find(group)
        membership = room.channels.pop(channel, None) if room is not None else None
        if room is not None and membership is not None:
            self._rooms.hub_of(group).members -= 1
            self._rooms.changed(room)
            self._mailboxes.release(channel)  # of which the membership may be the last holder

    async def discard_in_order(self, group: str, channel: str) -> None:
        """End a channel's membership behind what was published to the group until now.

        That may still be on its way to this node. So the node sends itself an echo through the
        shard, and ends the membership when it hears it. What is published once this returned finds
        no member.
        """
        room = self._rooms.find(group)
        if room is None or channel not in room.channels:
            return
        token = token_bytes(TOKEN_BYTES)
        self._leaving.setdefault((group, channel), set()).add(token)
        self._echoes[token] = partial(self.discard, group, channel)
        try:
            if not await self._is_echoed(group, token):
                self.echoed(token)
        finally:
            self._tasks.spawn(self._see_to_end(group, channel, token), f"discard from {group}")

    def echoed(self, token: bytes) -> None:
        """Do what waits for an echo that the node has heard."""
        if (step := self._echoes.pop(token, None)) is not None:
            step()

    def channels(self, group: str) -> list[str]:
        """Return the names of a group's channels in this node."""
        room = self._rooms.find(group)
        if room is None:
            return []
        now = asyncio.get_running_loop().time()
        return [channel for channel, membership in room.channels.items() if membership.ends > now]

    def deliver(self, group: str, message: bytes) -> None:
        """Hand a group's message to all of its members, but for those that are full."""
        room = self._rooms.find(group)
        if room is None:
            return
        if not room.channels and room.sinks:
            self._rooms.misdirected.message(group)
            return
        now = asyncio.get_running_loop().time()
        missed = 0
        for channel, membership in list(room.channels.items()):
            if membership.ends <= now:
                self.discard(group, channel)
            elif not membership.channel.deliver(message):
                missed += 1
        if missed:
            self.missed += missed
            self._complain_of_full(
                "%d of %d channels of %s are full and missed a message; %d were missed so far",
                missed,
                len(room.channels),
                group,
                self.missed,
            )

    def limit(self, options: LayerOptions) -> None:
        """Go by another `group_expiry` from now on."""
        self._expiry = options.group_expiry

    async def aclose(self) -> None:
        """Stop registering what other processes asked for, and ending memberships."""
        await self._tasks.aclose()

    def _pause(self) -> float:
        return min(self._expiry / SWEEPS_PER_EXPIRY, SWEEP_INTERVAL)

    async def _is_echoed(self, group: str, token: bytes) -> bool:
        try:
            return await self._queues.echo(self._rooms.shard_of(group), self._node, token)
        except ShardLayerError:
            return False

    async def _see_to_end(self, group: str, channel: str, token: bytes) -> None:
        """End a membership whose echo a lost connection may have lost, and forget that it ended."""
        for _ in range(2):  # time in which the loop stands still makes one of them longer
            await asyncio.sleep(ECHO_TIMEOUT / 2)
        self.echoed(token)
        tokens = self._leaving[group, channel]
        tokens.discard(token)
        if not tokens:
            del self._leaving[group, channel]

    async def _follow(self, group: str, channel: str) -> None:
        """Wait for what was published to a group until now, and end what was discarded before.

        Else what is still on its way would come to a membership that begins only now, or end it.
        """
        token, heard = token_bytes(TOKEN_BYTES), asyncio.Event()
        self._echoes[token] = heard.set
        try:
            if await self._is_echoed(group, token):
                async with stall_tolerant_timeout(ECHO_TIMEOUT):
                    await heard.wait()
        except TimeoutError:
            logger.debug("An echo of %s was lost", group)
        finally:
            self._echoes.pop(token, None)
        for earlier in list(self._leaving.get((group, channel), ())):
            self.echoed(earlier)

    def _enlist(
        self, group: str, channel: str
    ) -> tuple[LocalRoom, str, Membership, Membership | None]:
        """Make a channel a member; return its room and name, its membership, and that before."""
        hub = self._rooms.hub_of(group)
        room = hub.open(group)
        ends = asyncio.get_running_loop().time() + self._expiry
        before = room.channels.get(channel)
        hub.members += before is None
        added = room.channels[channel] = Membership(self._mailboxes.open(channel), ends)
        return room, channel, added, before

    async def _register(
        self, room: LocalRoom, channel: str, added: Membership, before: Membership | None
    ) -> None:
        try:
            await self._rooms.ensure_entered(room)
        except BaseException:
            added.failed = True
            if room.channels.get(channel) is added:  # else another call has added it since
                if before is None or before.failed:
                    self.discard(room.name, channel)
                else:
                    room.channels[channel] = before
            raise
        self._rooms.changed(room)

    async def _register_soon(self, group: str, channel: str) -> None:
        """Register a member's group, trying until it is done, or the channel is no member."""
        # Found anew each time: a flush may have ended the room, and another order begun one.
        while (room := self._rooms.find(group)) is not None and channel in room.channels:
            try:
                await self._rooms.ensure_entered(room)
            except ShardUnavailable as error:
                self._complain("%s is added to %s late: %s", channel, group, error)
                await asyncio.sleep(RETRY_PAUSE)
                continue
            if self._rooms.find(group) is room:
                self._rooms.changed(room)
                return
