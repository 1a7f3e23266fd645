"""One event loop with members: joins them to rooms and hears what is published for them.

The node hears batches from the shards it has members in, decodes each and hands what is in it to
its rooms, its groups and its mailboxes. When a shard could not be heard for a while, or had
forgotten the node, every room in it is joined again.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from shardlayer.aio.tasks import Tasks
from shardlayer.aio.throttled_log import ThrottledLog
from shardlayer.broker.interface import Backend
from shardlayer.broker.values import PAGE, Page
from shardlayer.channels.group_census import answer_of
from shardlayer.channels.group_members import GroupMembers
from shardlayer.channels.mailboxes import Mailboxes
from shardlayer.core import wire
from shardlayer.core.channel_names import new_node, node_of
from shardlayer.core.exceptions import ScriptFailed, ShardUnavailable, WireError
from shardlayer.core.frames import Broadcast
from shardlayer.core.histogram import Histogram
from shardlayer.core.options import LayerOptions
from shardlayer.core.reserved_rooms import reserved_rooms
from shardlayer.core.sharding import shard_of
from shardlayer.core.types import Position, Publication, Sink
from shardlayer.delivery.announcements import Announcements
from shardlayer.delivery.attendance import Turned
from shardlayer.delivery.joined import Joined
from shardlayer.delivery.leases import NodeLeases
from shardlayer.delivery.member_reports import MemberCounts
from shardlayer.delivery.node_presence import NodePresence
from shardlayer.delivery.position_checks import PositionChecks
from shardlayer.delivery.registration import Registration
from shardlayer.delivery.rooms import Rooms
from shardlayer.delivery.sweeper import Sweeper
from shardlayer.layer.layer_counters import LayerCounters, ShardCounters

logger = logging.getLogger(__name__)

FLUSH_MARK_BYTES = 8

# What most entries are, and made of: looked up and called without a frame for each of them.
_PUBLICATION = int(wire.Kind.PUBLICATION)
_MESSAGE = int(wire.Kind.MESSAGE)
_WAKE_UP = int(wire.Kind.WAKE_UP)
_as_publication: Callable[[tuple[str, bytes, int, str]], Publication] = partial(
    tuple.__new__, Publication
)


class _Flush:
    """A flush that this node began: which shards it has not yet heard of."""

    def __init__(self, shards: int) -> None:
        self.missing = set(range(shards))
        self.done = asyncio.Event()

    def heard(self, shard: int) -> None:
        self.missing.discard(shard)
        if not self.missing:
            self.done.set()


class Node:
    """The members of one event loop. Not thread-safe.

    Attributes:
        id: Names the node in the registries and in process-local channel names; begins with the
            name of its process.
        mailboxes: Where its channels are received.
        memberships: Of its channels in groups.
        presence: Who is in its rooms.
    """

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
        self._counts = MemberCounts(self.id, backend, options, tasks=tasks)
        self._rooms = Rooms(self._registration, self._counts, options, tasks=tasks)
        self.mailboxes = Mailboxes(self.id, backend, options, tasks=tasks)
        self.memberships = GroupMembers(
            self._rooms, self.mailboxes, expiry=options.group_expiry, tasks=tasks
        )
        self._announcements = Announcements(
            slice_size=options.slice_size,
            max_backlog=options.max_backlog,
            turns=self._rooms.turns,
            tasks=tasks,
        )
        self.presence = NodePresence(
            self.id, backend, self._rooms, options, on_turned=on_turned, tasks=tasks
        )
        self._checks = PositionChecks(self._rooms, backend, options, tasks=tasks)
        self._sweeper = Sweeper(backend, options, tasks=tasks)
        self._heard: set[int] = set()
        self._silent: set[int] = set()  # heard once, and not now
        self._flushes: dict[bytes, _Flush] = {}
        self._complain = ThrottledLog(logger, logging.ERROR)
        self._complain_of_entry = ThrottledLog(logger, logging.ERROR)
        self.broken_batches = 0
        self.broken_entries = 0

    async def start(self) -> None:
        """Begin to hear and to renew leases. Returns before the shards can be heard."""
        await self._backend.listen(self.id, self)
        self._leases.start()
        self._counts.start()
        self._rooms.start()
        self._checks.start()
        self._sweeper.start()
        self.memberships.start()

    async def aclose(self) -> None:
        """Leave the registries, stop every task. Members are not told."""
        await self._leases.aclose()
        await self.presence.aclose()
        await self._tasks.aclose()
        await self._counts.aclose()
        await self._checks.aclose()
        await self._sweeper.aclose()
        await self.memberships.aclose()
        await self.mailboxes.aclose()
        await self._rooms.aclose()
        await self._registration.aclose()
        await self._announcements.aclose()
        await self._leases.withdraw()

    async def join(
        self, name: str, sink: Sink, since: Position | None = None, page: Page = PAGE
    ) -> Joined:
        """Make `sink` a member of a room.

        Pushes wait until the caller, having written its reply, calls `release()` on the result.
        With `since` the reply has a page of what was published after that position; while the
        result `is_behind`, the caller has to `read_on` first. A sink that joins again starts anew.

        Raises:
            ShardUnavailable: If the room could not be registered within `publish_timeout`.
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
            return Joined(
                room=name, position=room.position, recovered=False, publications=[], gate=gate
            )
        return Joined.after(reply, name, gate)

    async def read_on(
        self, joined: Joined, page: Page = PAGE, *, max_text: int = 0
    ) -> list[Broadcast]:
        """Return the next page for a member that is behind, to be written to its sink.

        It may begin with a reset: something is gone that the member had not read yet. The member
        may be released once it is no more behind, right after this was written. If it has left
        meanwhile, nothing is returned, and it is no more behind. What would be pushed as more than
        `max_text` bytes, if that is not 0, is left out, and told with a reset as well.

        Raises:
            ShardUnavailable: If the room's shard did not answer; try again later.
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

    def members(self, name: str) -> int:
        """Return how many members a room has in this node."""
        return self._rooms.members(name)

    def hears(self, name: str) -> bool:
        """Return whether what is published to a room would be heard now, as far as is known."""
        shard = shard_of(name, self._options.shards)
        return shard in self._heard and shard not in self._silent

    def rooms(self) -> int:
        """Return how many rooms have members in this node, or had until a moment ago.

        Without those that an application reserved for itself.
        """
        own = sum(self._rooms.find(name) is not None for name in reserved_rooms())
        return len(self._rooms) - own

    async def settled(self, channel: str) -> None:
        """Wait until what is sent to a channel of this node would be heard.

        Raises:
            ShardUnavailable: If the channel's shard could not be heard within `publish_timeout`.
        """
        await self._settled(shard_of(channel, self._options.shards))

    async def _settled(self, shard: int) -> None:
        """Wait until a shard can be heard and all that can have a lease, for `publish_timeout`.

        Then other processes may add this node's channels to groups of whichever shard.

        Raises:
            ShardUnavailable: If it could not be heard until then.
        """
        await self._backend.heard_in_time(shard)
        # Another shard that can't be tried at all is no reason to fail.
        with suppress(TimeoutError):
            async with asyncio.timeout(self._options.publish_timeout):
                await self._leases.settled()

    async def flush(self) -> None:
        """Flush the shards, and return once this node has heard that all of them are empty.

        Raises:
            ShardUnavailable: If a shard could not be reached or heard within `publish_timeout`.
        """
        mark = secrets.token_bytes(FLUSH_MARK_BYTES)
        flush = self._flushes[mark] = _Flush(self._options.shards)
        try:
            for shard in range(self._options.shards):
                await self._settled(shard)
            await self._backend.flush(mark)
            async with asyncio.timeout(self._options.publish_timeout):
                await flush.done.wait()
        except TimeoutError:
            raise self._backend.unavailable(min(flush.missing)) from None
        finally:
            del self._flushes[mark]

    # What the backend tells

    def arrived(self, shard: int, batch: bytes) -> None:
        """Take a batch from a shard."""
        try:
            entries = wire.unpack_batch(batch)
        except WireError as error:
            self.broken_batches += 1
            self._complain("Shard %d: %s", shard, error)
            return
        publications = []
        for kind, name, payload, offset, epoch in entries:
            if kind == _PUBLICATION:
                if wire.may_be_json(payload):
                    publications.append(_as_publication((name, payload, offset, epoch)))
                    continue
                self._refuse(shard, name, "a publication is no JSON text in UTF-8")
                if offset:  # it has a place, which the next one follows
                    publications.append(Publication(name, wire.UNREADABLE, offset, epoch))
            elif kind == _MESSAGE:
                self.memberships.deliver(name, payload)
            elif kind == _WAKE_UP:
                self.mailboxes.wake(name)
            elif kind in (wire.Kind.ADD, wire.Kind.DISCARD):
                self._ordered(shard, kind, name, payload)
            elif kind == wire.Kind.ANNOUNCEMENT:
                if wire.may_be_json(payload):
                    self._announcements.tell(payload)
                else:
                    self._refuse(shard, "everybody", "an announcement is no JSON text in UTF-8")
            elif kind == wire.Kind.PRESENCE:
                self._presence_changed(shard, name, payload)
            elif kind == wire.Kind.CENSUS:
                self._tasks.spawn(self._answer(shard, name, payload), f"members of {name}")
            elif kind == wire.Kind.FLUSH:
                self._flushed(shard, payload)
        if publications:
            self._rooms.feed(shard, publications, len(batch))

    def resumed(self, shards: Sequence[int]) -> None:
        """Join the rooms of these shards again, unless they are heard for the first time.

        Every channel's queue is looked at, the first time too.
        """
        again = self._heard.intersection(shards)
        first = sorted(set(shards) - self._heard)
        self._heard.update(shards)
        if first:
            self._leases.begin(first)
        self._leases.tried(shards)
        for shard in again:
            self._rooms.resumed(shard)
            self.presence.doubt(shard)
        self.mailboxes.look(shards)  # what was sent before this node could be heard woke nobody
        if not self._silent.isdisjoint(shards):
            self._silent.difference_update(shards)
            self._tell(self._options.on_reconnect)

    def lost(self, shards: Sequence[int]) -> None:
        """Tell the channels that something may be missed, if that was asked for."""
        self._leases.tried(shards)
        newly = self._heard.intersection(shards) - self._silent
        if newly:
            self._silent |= newly
            self._tell(self._options.on_disconnect)

    def counters(self) -> LayerCounters:
        """Return what this node counted since it was made. From any thread."""
        hubs = self._rooms.hubs
        # Copied first, which takes one step: rooms come and go in the node's own thread.
        own = reserved_rooms()
        rooms = [room for hub in hubs for room in list(hub.rooms.values()) if room.name not in own]
        return LayerCounters(
            delivered=sum(hub.delivered for hub in hubs),
            written_bytes=sum(hub.written_bytes for hub in hubs),
            backlog_bytes=sum(hub.backlog for hub in hubs),
            unwanted=sum(hub.unwanted for hub in hubs),
            failed_members=sum(hub.failed for hub in hubs) + self._announcements.failed,
            broken_deliveries=sum(hub.broken_rounds for hub in hubs),
            backlog_overflows=sum(hub.overflows for hub in hubs),
            dropped=sum(hub.dropped for hub in hubs),
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
            rooms=len(rooms),
            members=sum(map(len, rooms)),
        )

    def shard_counters(self) -> list[ShardCounters]:
        """Return what this node counted of each shard. From any thread."""
        return [
            ShardCounters(
                delivered=hub.delivered,
                rooms=len(rooms := list(hub.rooms.values())),
                members=sum(map(len, rooms)),
                backlog_bytes=hub.backlog,
                unheard=int(shard in self._silent),
            )
            for shard, hub in enumerate(self._rooms.hubs)
        ]

    def delays(self) -> list[Histogram]:
        """Return how long deliveries took, by shard (see `Hub.delays`)."""
        return [hub.delays for hub in self._rooms.hubs]

    def _ordered(self, shard: int, kind: int, group: str, payload: bytes) -> None:
        """Add a channel to a group, or discard it, as another process says."""
        channel = str(payload, "ascii", "replace")
        if not group.isascii() or not channel.isascii() or node_of(channel) != self.id:
            self._refuse(shard, group, f"{payload!r:.100} is no channel of this node")
        elif kind == wire.Kind.ADD:
            self.memberships.add_soon(group, channel)
        else:
            self.memberships.discard(group, channel)

    async def _answer(self, shard: int, group: str, question: bytes) -> None:
        """Say which channels of a group are here; without an answer this node is left out."""
        answer = answer_of(question, self.memberships.channels(group))
        with suppress(ShardUnavailable, ScriptFailed):
            await self._backend.census_answer(shard, question, self.id, answer)

    def _presence_changed(self, shard: int, name: str, payload: bytes) -> None:
        try:
            self.presence.changed(name, payload)
        except WireError as error:
            self._refuse(shard, name, str(error))

    def _refuse(self, shard: int, name: str, reason: str) -> None:
        self.broken_entries += 1
        self._complain_of_entry("Shard %d: what came for %s was left out: %s", shard, name, reason)

    def _flushed(self, shard: int, mark: bytes) -> None:
        self._rooms.flushed(shard)
        self.presence.doubt(shard)
        self.mailboxes.flushed(shard)
        flush = self._flushes.get(mark)
        if flush is not None:
            flush.heard(shard)

    def _tell(self, type: str) -> None:
        if type:
            self.mailboxes.tell(type)
