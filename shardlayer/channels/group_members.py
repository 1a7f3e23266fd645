"""Which channels of one node are members of which groups, and how a group's message reaches them.

A group with channels is a room like one with sinks, registered and given up in the same way. What
is sent to it arrives as bytes, which each member's mailbox takes or, if it is full, misses.
"""

from __future__ import annotations

import asyncio
import logging

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
ORDER_TIMEOUT = 1.0  # seconds for a discard to come back from the shard


class GroupMembers:
    """The memberships of one node's channels in groups. Not thread-safe.

    Args:
        node: The node.
        rooms: Its rooms, among them its groups.
        mailboxes: Where its channels are received.
        queues: Tell it what other processes want, and what it wants in order with publications.
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
        self._tasks = tasks.branch()
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

        A call that fails or is cancelled changes nothing.

        Raises:
            ShardUnavailable: If the group could not be registered within `publish_timeout`.
        """
        await self._register(*self._enlist(group, channel))

    def add_soon(self, group: str, channel: str) -> None:
        """Make a channel a member because another process said so.

        A member at once, since its messages follow; registered as soon as may be.
        """
        enlisted = self._enlist(group, channel)
        self._tasks.spawn(self._add_for_another(*enlisted), f"add to {group}")

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

        That may still be on its way to this node. So the shard tells the node to end it, as it does
        for other processes. What is published once this returned finds no member.
        """
        room = self._rooms.find(group)
        membership = room.channels.get(channel) if room is not None else None
        if room is None or membership is None:
            return
        try:
            shard = self._rooms.shard_of(group)
            is_told = await self._queues.enroll(shard, group, channel, node=self._node, add=False)
        except ShardLayerError:
            is_told = False
        if not is_told:
            self.discard(group, channel)
            return

        async def in_any_case() -> None:  # a lost connection may have lost it
            for _ in range(2):  # time in which the loop stands still makes one of them longer
                await asyncio.sleep(ORDER_TIMEOUT / 2)
            if room.channels.get(channel) is membership:
                self.discard(group, channel)

        self._tasks.spawn(in_any_case(), f"discard from {group}")

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

    async def _add_for_another(
        self, room: LocalRoom, channel: str, added: Membership, before: Membership | None
    ) -> None:
        if channel not in room.channels:
            return  # discarded again, or flushed, and the room with it
        try:
            await self._register(room, channel, added, before)
        except ShardUnavailable as error:
            self._complain("%s could not be added to %s: %s", channel, room.name, error)
