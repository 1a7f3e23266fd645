"""How many members a node's rooms have, as it tells the shards.

The counts are for people (the admin, the command line), never for routing. So they are reported
every few seconds, and only for the groups that changed; after a storm of clients these are all. So
they are reported some dozens at a time, each in its turn of the event loop.
"""

from __future__ import annotations

from shardlayer.aio.side_by_side import side_by_side
from shardlayer.aio.tasks import Tasks
from shardlayer.aio.time_slices import TimeSlices
from shardlayer.broker.interface import Leases
from shardlayer.core.exceptions import ShardUnavailable
from shardlayer.core.options import LayerOptions
from shardlayer.core.types import NodeId
from shardlayer.delivery.room import LocalRoom

ROOMS_PER_CALL = 50  # some 1 ms of the event loop


class MemberCounts:
    """The member counts of one node.

    Args:
        node: The node.
        leases: Where they are reported.
        options: The layer's options.
        turns: Of the event loop.
        tasks: Of the node.
    """

    def __init__(
        self,
        node: NodeId,
        leases: Leases,
        options: LayerOptions,
        *,
        turns: TimeSlices,
        tasks: Tasks,
    ) -> None:
        self._node = node
        self._leases = leases
        self._interval = options.members_interval
        self._turns = turns
        self._tasks = tasks.branch()
        self._changed: dict[tuple[int, str], LocalRoom] = {}  # by shard and name

    def start(self) -> None:
        """Begin to report, in a task that `aclose` ends."""
        self._tasks.repeat(
            self.report, f"report members of {self._node}", pause=lambda: self._interval
        )

    async def aclose(self) -> None:
        """Stop reporting."""
        await self._tasks.aclose()

    def changed(self, shard: int, room: LocalRoom) -> None:
        """Note that a room's members changed."""
        self._changed[shard, room.name] = room

    def forget(self, shard: int, name: str) -> None:
        """Note that a room was forgotten, here and in its shard."""
        self._changed.pop((shard, name), None)

    async def report(self) -> None:
        """Store the counts of the rooms that changed since the last report and have members."""
        changed, self._changed = self._changed, {}
        by_shard: dict[int, list[LocalRoom]] = {}
        for (shard, _), room in changed.items():
            by_shard.setdefault(shard, []).append(room)
        await side_by_side(self._report(shard, rooms) for shard, rooms in by_shard.items())

    async def _report(self, shard: int, rooms: list[LocalRoom]) -> None:
        for start in range(0, len(rooms), ROOMS_PER_CALL):
            await self._turns.wait()
            part = rooms[start : start + ROOMS_PER_CALL]
            members = {room.name: len(room) for room in part if len(room)}
            try:
                await self._leases.report(shard, self._node, members)
            except ShardUnavailable:
                for room in rooms[start:]:
                    self._changed.setdefault((shard, room.name), room)
                return
