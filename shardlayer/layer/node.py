"""One event loop with members: joins them to rooms and hears what is published for them.

What it hears, and how it takes it apart, is in hearing.py.
"""

from __future__ import annotations

from shardlayer.broker.values import PAGE, Page
from shardlayer.core.client_names import ClientName, new_client_name
from shardlayer.core.frames import Broadcast
from shardlayer.core.histogram import Histogram
from shardlayer.core.options import LayerOptions
from shardlayer.core.reserved_rooms import reserved_rooms
from shardlayer.core.sharding import shard_of
from shardlayer.core.types import Position, Sink
from shardlayer.delivery.joined import Joined
from shardlayer.delivery.room import LocalRoom
from shardlayer.layer.hearing import Hearing
from shardlayer.layer.layer_counters import LayerCounters, ShardCounters


class Node(Hearing):
    """The members of one event loop. Not thread-safe.

    Attributes are those of `NodeParts`.
    """

    async def join(
        self, name: str, sink: Sink, since: Position | None = None, page: Page = PAGE
    ) -> Joined:
        """Make `sink` a member of a room.

        Pushes wait until the caller, having written its reply, calls `release()` on the result.
        With `since` the reply has a page of what was published after that position; while the
        result `is_behind`, the caller has to `read_on` first. Without it, the reply has the newest
        publication of a room that keeps it. A sink that joins again starts anew.

        Raises:
            ShardUnavailable: If the room could not be registered within `publish_timeout`. Where
                its count began anew, it has half of that again to learn it.
        """
        hub = self._rooms.hub_of(name)
        room = hub.open(name)
        gate = hub.join(room, sink)
        try:
            reply = await self._rooms.ensure_entered(room, since, page)
            if reply is None and since is not None and room.position is not None:
                reply = await self._rooms.missed(room, since, page)
        except BaseException:
            if room.sinks.get(sink) is gate:  # else it has joined again meanwhile
                self.leave(name, sink)
            raise
        self._rooms.changed(room)
        if reply is None or since is None:
            newest = room.special.newest if room.special is not None else None
            return Joined(
                room=name,
                position=room.position,
                recovered=False,
                publications=[newest] if newest is not None else [],
                gate=gate,
            )
        return Joined.after(reply, name, gate)

    async def read_on(
        self, joined: Joined, page: Page = PAGE, *, max_text: int = 0
    ) -> list[Broadcast]:
        """Return the next page for a member that is behind, to be written to its sink.

        It may begin with a reset: something is gone that the member had not read yet. The member
        may be released once it is no longer behind, right after this was written. If it has left
        meanwhile, nothing is returned, and it is no longer behind. A push of more than `max_text`
        bytes, if that is not 0, is left out, and told with a reset as well.

        Raises:
            ShardUnavailable: If the room's shard did not answer, or counts anew and the room does
                not know it yet; try again later.
        """
        room, since = self._rooms.find(joined.room), joined.position
        if room is None or since is None or not joined.gate.is_in(room):
            joined.end()
            return []
        joined.ask()
        try:
            reply = await self._rooms.missed(room, since, page)
        except BaseException:
            joined.fail()
            raise
        return joined.go_on(reply, self._options.write_bytes, max_text)

    def leave(self, name: str, sink: Sink) -> None:
        """End a membership, if there is one. O(1), and tells Redis only after a linger."""
        room = self._rooms.hub_of(name).leave(name, sink)
        if room is not None:
            self._rooms.changed(room)

    def limit(self, options: LayerOptions) -> None:
        """Go by other limits for messages from now on: those that `Backend.change` names, too."""
        self.mailboxes.limit(options)
        self.memberships.limit(options)

    def attend(self, sink: Sink) -> None:
        """Have a sink told of announcements from now on. O(1), and again is no error."""
        self._announcements.attend(sink)

    def depart(self, sink: Sink) -> None:
        """Have a sink told of announcements no more. O(1), and again is no error."""
        self._announcements.depart(sink)

    def name_client(self, sink: Sink) -> ClientName:
        """Return a new name for a sink, by which a publication may leave it out.

        It counts until `unname_client`, which the caller must call. O(1).
        """
        name = new_client_name()
        self._rooms.clients[name] = sink
        return name

    def client(self, name: ClientName) -> Sink | None:
        """Return the sink that has a name; None if none here has. O(1)."""
        return self._rooms.clients.get(name)

    def unname_client(self, name: ClientName) -> None:
        """Have a name stand for nobody. O(1), and again is no error."""
        self._rooms.clients.pop(name, None)

    def members(self, name: str) -> int:
        """Return how many members a room has in this node."""
        return self._rooms.members(name)

    def knows(self, name: str) -> bool:
        """Return whether a room has members in this node, or had until a moment ago."""
        return self._rooms.find(name) is not None

    def hears(self, name: str) -> bool:
        """Return whether what is published to a room would be heard now, as far as is known."""
        shard = shard_of(name, self._options.shards)
        return shard in self._heard and shard not in self._silent

    def rooms(self) -> int:
        """Return how many rooms have members in this node, or had until a moment ago.

        Without those that an application reserved for itself.
        """
        return len(self._rooms) - len(self._own_rooms())

    def _own_rooms(self) -> list[LocalRoom]:
        """Return the rooms here that an application reserved for itself."""
        found = (self._rooms.find(name) for name in reserved_rooms())
        return [room for room in found if room is not None]

    def counters(self) -> LayerCounters:
        """Return what this node counted since it was made. From any thread."""
        hubs = self._rooms.hubs
        own = self._own_rooms()
        return LayerCounters(
            delivered=sum(hub.delivered for hub in hubs),
            written_bytes=sum(hub.written_bytes for hub in hubs),
            saved_bytes=sum(hub.saved_bytes for hub in hubs),
            backlog_bytes=sum(hub.backlog for hub in hubs),
            unwanted=sum(hub.unwanted for hub in hubs),
            failed_members=sum(hub.failed for hub in hubs) + self._announcements.failed,
            broken_deliveries=sum(hub.broken_rounds for hub in hubs),
            backlog_overflows=sum(hub.overflows for hub in hubs),
            dropped=sum(hub.dropped for hub in hubs),
            conflated=sum(hub.calm.conflated for hub in hubs),
            delayed=sum(hub.calm.delayed for hub in hubs),
            gaps_found=self._checks.found,
            resets=sum(hub.resets for hub in hubs),
            missed_messages=self.memberships.missed + self.mailboxes.missed,
            misdirected=self._rooms.misdirected.count,
            presence_connections=len(self.presence.attendance),
            presence_told=self.presence.attendance.told,
            presence_compared=self.presence.attendance.compared,
            presence_cleared=self.presence.attendance.cleared,
            presence_pushes=self.presence.events.pushed,
            announced=self._announcements.told,
            dropped_announcements=self._announcements.dropped,
            broken_batches=self.broken_batches,
            broken_entries=self.broken_entries,
            undecodable_messages=self.mailboxes.undecodable,
            rooms=len(self._rooms) - len(own),
            members=sum(hub.members for hub in hubs) - sum(map(len, own)),
        )

    def shard_counters(self) -> list[ShardCounters]:
        """Return what this node counted of each shard. From any thread."""
        counted = [
            ShardCounters(
                delivered=hub.delivered,
                rooms=len(hub.rooms),
                members=hub.members,
                backlog_bytes=hub.backlog,
                unheard=int(shard in self._silent),
            )
            for shard, hub in enumerate(self._rooms.hubs)
        ]
        for room in self._own_rooms():
            counters = counted[shard_of(room.name, self._options.shards)]
            counters.rooms -= 1
            counters.members -= len(room)
        return counted

    @property
    def lease_age(self) -> float | None:
        """Seconds since the oldest of its leases was renewed; None without any. Any thread."""
        return self._leases.age

    def delays(self) -> list[tuple[Histogram, Histogram]]:
        """Return `Hub.delays` and `Hub.ages`, by shard."""
        return [(hub.delays, hub.ages) for hub in self._rooms.hubs]
