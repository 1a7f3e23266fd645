"""What a node is made of: its leases, its rooms, its mailboxes, and what looks after them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence

from shardlayer.aio.side_by_side import side_by_side
from shardlayer.aio.tasks import Tasks
from shardlayer.aio.time_slices import TimeSlices
from shardlayer.broker.interface import Backend
from shardlayer.channels.group_members import GroupMembers
from shardlayer.channels.group_orders import GroupOrders
from shardlayer.channels.mailboxes import Mailboxes
from shardlayer.core.channel_names import new_node
from shardlayer.core.options import LayerOptions
from shardlayer.core.types import Sink
from shardlayer.delivery.announcements import Announcements
from shardlayer.delivery.leases import NodeLeases
from shardlayer.delivery.member_reports import MemberCounts
from shardlayer.delivery.node_presence import NodePresence
from shardlayer.delivery.position_checks import PositionChecks
from shardlayer.delivery.presence_reports import Turned
from shardlayer.delivery.registration import Registration
from shardlayer.delivery.rooms import Rooms
from shardlayer.delivery.sweeper import Sweeper

logger = logging.getLogger(__name__)

LEAVE_TIMEOUT = 2.0  # seconds to give back people and leases


class NodeParts:
    """The parts of a node, begun and ended together.

    Attributes:
        id: Names the node in the registries and in process-local channel names; begins with the
            name of its process.
        mailboxes: Where its channels are received.
        memberships: Of its channels in groups.
        orders: What other processes tell it of them.
        presence: Who is in its rooms.
        describe: Returns what an application says of a room's members here to who asks with
            `room_answers`, as bytes; in an order of its own, and as many as it likes.
    """

    describe: Callable[[str, Collection[Sink]], bytes] | None = None

    def __init__(
        self,
        backend: Backend,
        options: LayerOptions,
        *,
        process: str,
        tasks: Tasks,
        on_turned: Turned,
    ) -> None:
        self.id = new_node(process)
        self._backend = backend
        self._options = options
        self._tasks = tasks.branch()
        self._leases = NodeLeases(self.id, backend, options, on_lapsed=self.resumed, tasks=tasks)
        self._registration = Registration(self.id, backend, self._leases, options, tasks=tasks)
        turns = TimeSlices()
        self._counts = MemberCounts(self.id, backend, options, turns=turns, tasks=tasks)
        self._rooms = Rooms(self._registration, self._counts, options, turns=turns, tasks=tasks)
        self.mailboxes = Mailboxes(self.id, backend, options, tasks=tasks)
        self.memberships = GroupMembers(
            self.id, self._rooms, self.mailboxes, backend, expiry=options.group_expiry, tasks=tasks
        )
        self.orders = GroupOrders(self.id, self.memberships, backend, options, tasks=tasks)
        self._announcements = Announcements(
            slice_size=options.slice_size,
            max_backlog=options.max_backlog,
            turns=turns,
            tasks=tasks,
        )
        self.presence = NodePresence(
            self.id, backend, self._rooms, options, on_turned=on_turned, tasks=tasks
        )
        self._checks = PositionChecks(self._rooms, backend, options, tasks=tasks)
        self._sweeper = Sweeper(backend, options, tasks=tasks)

    async def aclose(self) -> None:
        """Stop every task, then leave the registries. Members are not told.

        What does not answer for `LEAVE_TIMEOUT` is left when the leases end.
        """
        await self._leases.aclose()
        await self.presence.aclose()
        groups = (self.memberships, self.orders)
        alone = (self._tasks, self._counts, self._checks, self._sweeper, *groups)
        await asyncio.gather(*(part.aclose() for part in alone))  # no other part begins their tasks
        await self.mailboxes.aclose()
        await self._rooms.aclose()
        await self._registration.aclose()
        await self._announcements.aclose()
        try:
            async with asyncio.timeout(LEAVE_TIMEOUT):
                # Together: a server that hangs costs nothing on the others.
                await side_by_side((self.presence.leave(), self._leases.withdraw()))
        except TimeoutError:
            ttl = self._options.lease_ttl
            logger.warning("Node %s goes without leaving: its leases end in %g s.", self.id, ttl)

    def resumed(self, shards: Sequence[int]) -> None:
        """Take notice that these shards can be heard, or that they had forgotten the node."""
        raise NotImplementedError
