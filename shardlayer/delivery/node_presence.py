"""Who is in rooms, as one node has it: what it tells the shards, and what it tells its members."""

from __future__ import annotations

from shardlayer.aio.tasks import Tasks
from shardlayer.broker.interface import Presence
from shardlayer.broker.presence_values import MAX_INFO, MAX_PERSON, Attendee
from shardlayer.core.options import LayerOptions
from shardlayer.core.presence_news import unpack_news
from shardlayer.core.types import NodeId
from shardlayer.delivery.presence_events import PresenceEvents
from shardlayer.delivery.presence_reports import Attendance, Turned
from shardlayer.delivery.rooms import Rooms


class NodePresence:
    """Presence in the rooms of one node. Not thread-safe.

    Attributes:
        attendance: What the shards are told.
        events: What the members are told.
    """

    def __init__(
        self,
        node: NodeId,
        presence: Presence,
        rooms: Rooms,
        options: LayerOptions,
        *,
        on_turned: Turned,
        tasks: Tasks,
    ) -> None:
        self.attendance = Attendance(node, presence, options, on_turned=on_turned, tasks=tasks)
        self.events = PresenceEvents(rooms, options, tasks=tasks)
        self._rooms = rooms

    def come(self, attendee: Attendee) -> None:
        """Have it known on all nodes that somebody is in a room. O(1), and again is no error.

        The room's shard is told a moment later (`presence_delay`). The node has joined the room
        before. Whoever calls this calls `go`, too, when the member leaves.

        Raises:
            ValueError: The person's name is empty, too long or has a NUL, or the info is too large.
        """
        name = attendee.person.encode()
        if not name or len(name) > MAX_PERSON or b"\0" in name:
            raise ValueError(f"A person's name has 1 to {MAX_PERSON} bytes, and no NUL.")
        if len(attendee.info) > MAX_INFO:
            raise ValueError(f"A connection carries at most {MAX_INFO} bytes.")
        self.attendance.come(self._rooms.shard_of(attendee.room), attendee)

    def go(self, attendee: Attendee, *, at_once: bool = False) -> None:
        """Note that somebody has left a room. O(1); it may be called again.

        It counts after `presence_linger`, or `at_once` for a client that has not left, but is
        somebody else now.
        """
        shard = self._rooms.shard_of(attendee.room)
        self.attendance.go(shard, attendee, at_once=at_once)

    def watch(self) -> None:
        """Look after the people of nodes that die, as from the first `come` on."""
        self.attendance.watch()

    async def settled(self, room: str) -> None:
        """Wait until a room's shard was told who is here, for `publish_timeout` at most."""
        await self.attendance.settled(self._rooms.shard_of(room))

    def changed(self, room: str, payload: bytes) -> None:
        """Take what a shard tells of a room's people.

        Raises:
            WireError: It can't be read.
        """
        self.events.take(room, unpack_news(payload))

    def doubt(self, shard: int) -> None:
        """Have a shard compared, which may have lost what it was told."""
        self.attendance.doubt(shard)

    async def aclose(self) -> None:
        """Stop telling anybody."""
        await self.attendance.aclose()
        await self.events.aclose()

    async def leave(self) -> None:
        """Have nobody of this node in a room any more, once closed."""
        await self.attendance.leave()
