"""One event loop with members: joins them to rooms and delivers what is published for them.

The node hears batches from the shards it has members in, decodes each and feeds it to the shard's
hub, whose delivery task writes it. It registers a room with its first member; members that come
later are told where the room stands from memory, without a round trip.

When a shard could not be heard for a while, or had forgotten the node, every room in it is joined
again after its own position: members see a pause, and are told if something is gone for good.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from weakref import WeakValueDictionary

from shardlayer import wire
from shardlayer.backends.base import Backend
from shardlayer.commands import JoinReply, Queued
from shardlayer.complaints import Complaint
from shardlayer.exceptions import ShardLayerError, ShardUnavailable, UndecodableMessage, WireError
from shardlayer.hub import Gate, Hub, Membership, Room
from shardlayer.mailbox import Mailbox, is_process_local
from shardlayer.options import LayerOptions
from shardlayer.registry import RETRY_PAUSE, Registry
from shardlayer.serializers import Serializer
from shardlayer.sharding import shard_of
from shardlayer.types import NodeId, Position, Publication, Sink

logger = logging.getLogger("shardlayer.node")

NODE_ID_BYTES = 8
MAILBOXES_SWEPT_AT = 1_000  # how many there are when the first of them are looked at
REENTRY_CONCURRENCY = 200  # rooms that are joined again at the same time


@dataclass(slots=True, kw_only=True)
class Joined:
    """A membership that has begun, held until `release`.

    Attributes:
        room: The room's name.
        position: Where the member is, `publications` included; None if no history is kept.
        recovered: Whether nothing is missing between the position it asked for and this one.
        publications: What it missed, as far as the history still holds it, in order.
    """

    room: str
    position: Position | None
    recovered: bool
    publications: list[Publication]
    gate: Gate

    def release(self) -> None:
        """Let pushes through. Call it right after writing the reply, with no await between."""
        self.gate.open(self.position)


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
        id: Names the node in the registries and in process-local channel names.
    """

    def __init__(self, backend: Backend, options: LayerOptions) -> None:
        self.id = NodeId(secrets.token_hex(NODE_ID_BYTES))
        self._backend = backend
        self._options = options
        self._hubs = [
            Hub(
                slice_size=options.slice_size,
                write_bytes=options.write_bytes,
                on_gap=lambda room, shard=shard: self._reenter(shard, room),  # type: ignore[misc]
            )
            for shard in range(options.shards)
        ]
        self._registry = Registry(
            self.id,
            backend,
            options,
            on_lapsed=self.resumed,
            on_idle=self._give_up,
            count=lambda shard, group: self._members(shard, group),
        )
        self._deliveries: list[asyncio.Task[None] | None] = [None] * options.shards
        self._tasks: set[asyncio.Task[Any]] = set()
        self._kept: dict[str, Mailbox] = {}
        self._mailboxes: WeakValueDictionary[str, Mailbox] = WeakValueDictionary()
        self._reentries = asyncio.Semaphore(REENTRY_CONCURRENCY)
        self._heard: set[int] = set()
        self._silent: set[int] = set()  # heard once, and not now
        self._flushes: dict[bytes, _Flush] = {}
        self._sweep_at = MAILBOXES_SWEPT_AT
        self._complain = Complaint(logger, logging.ERROR)
        self._complain_of_full = Complaint(logger, logging.WARNING)
        self.missed_messages = 0
        self.broken_batches = 0
        self.undecodable = 0

    async def start(self) -> None:
        """Begin to hear and to renew leases. Returns before the shards can be heard."""
        await self._backend.listen(self.id, self)
        self._registry.start()

    async def aclose(self) -> None:
        """Leave the registries, stop every task. Members are not told."""
        await self._registry.aclose()
        tasks = [*self._tasks, *(task for task in self._deliveries if task is not None)]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self._registry.withdraw()

    # Rooms with sinks

    async def join(self, name: str, sink: Sink, since: Position | None = None) -> Joined:
        """Make `sink` a member of a room.

        Pushes wait until the caller, having written its reply, calls `release()` on the result.
        With `since` the reply has what was published after that position. A sink that joins
        again starts anew.

        Raises:
            ShardUnavailable: If the room could not be registered within `publish_timeout`.
        """
        shard = self._shard_of(name)
        hub = self._hubs[shard]
        room = hub.open(name)
        gate = hub.join(room, sink)
        reply: JoinReply | None = None
        try:
            if not room.entered:
                if room.entering is None:
                    reply = await self._enter(shard, room, since)
                else:
                    await asyncio.shield(room.entering)
            if reply is None and since is not None and room.position is not None:
                reply = await self._registry.join(shard, name, members=len(room), since=since)
        except BaseException:
            if room.sinks.get(sink) is gate:  # else it has joined again meanwhile
                self.leave(name, sink)
            raise
        self._registry.changed(shard, name, len(room))
        if reply is None or since is None:
            return Joined(
                room=name, position=room.position, recovered=False, publications=[], gate=gate
            )
        return Joined(
            room=name,
            position=reply.position,
            recovered=reply.recovered,
            publications=reply.publications,
            gate=gate,
        )

    def leave(self, name: str, sink: Sink) -> None:
        """End a membership, if there is one. O(1), and tells Redis only after a linger."""
        shard = self._shard_of(name)
        room = self._hubs[shard].leave(name, sink)
        if room is not None:
            self._registry.changed(shard, name, len(room))

    def members(self, name: str) -> int:
        """Return how many members a room has in this node."""
        return self._members(self._shard_of(name), name)

    def rooms(self) -> int:
        """Return how many rooms have members in this node, or had until a moment ago."""
        return sum(len(hub.rooms) for hub in self._hubs)

    # Groups with Channels channels

    async def group_add(self, group: str, channel: str) -> None:
        """Make a channel of this node a member of a group; again prolongs it.

        Raises:
            ShardUnavailable: If the group could not be registered within `publish_timeout`.
        """
        await self._register(self._enlist(group, channel), channel)

    async def _register(self, room: Room, channel: str) -> None:
        shard = self._shard_of(room.name)
        try:
            if room.entered:
                pass
            elif room.entering is not None:
                await asyncio.shield(room.entering)
            else:
                await self._enter(shard, room, None)
        except BaseException:
            self._discard(room.name, channel)
            raise
        self._registry.changed(shard, room.name, len(room))

    async def group_discard(self, group: str, channel: str) -> None:
        """End a channel's membership, if there is one."""
        self._discard(group, channel)

    def _enlist(self, group: str, channel: str) -> Room:
        room = self._hubs[self._shard_of(group)].open(group)
        ends = asyncio.get_running_loop().time() + self._options.group_expiry
        room.channels[channel] = Membership(self.mailbox(channel), ends)
        return room

    def _discard(self, group: str, channel: str) -> None:
        shard = self._shard_of(group)
        room = self._hubs[shard].rooms.get(group)
        membership = room.channels.pop(channel, None) if room is not None else None
        if room is not None and membership is not None:
            self._registry.changed(shard, group, len(room))
            self.drop_mailbox(channel)  # of which the membership may have been the last holder

    async def flush(self) -> None:
        """Flush the shards, and return once this node has heard that all of them are empty.

        Raises:
            ShardUnavailable: If a shard could not be reached or heard within `publish_timeout`.
        """
        mark = secrets.token_bytes(NODE_ID_BYTES)
        flush = self._flushes[mark] = _Flush(self._options.shards)
        try:
            for shard in range(self._options.shards):
                await self._registry.settled(shard)
            await self._backend.flush(mark)
            async with asyncio.timeout(self._options.publish_timeout):
                await flush.done.wait()
        except TimeoutError:
            raise self._registry.unavailable(min(flush.missing)) from None
        finally:
            del self._flushes[mark]

    def _forget_channels(self, shard: int, mark: bytes) -> None:
        for room in list(self._hubs[shard].rooms.values()):
            room.channels.clear()
            if room.entering is not None or room.held is not None:
                continue
            if room.sinks:
                self._reenter(shard, room)
            else:
                del self._hubs[shard].rooms[room.name]
        for channel, mailbox in list(self._mailboxes.items()):
            if self._shard_of(channel) == shard:
                mailbox.clear()
        flush = self._flushes.get(mark)
        if flush is not None:
            flush.heard(shard)

    async def new_mailbox(self, channel: str) -> Mailbox:
        """Return where this node receives a process-local channel that was just named.

        It stays until `forget_mailbox`, or until nobody received for so long that what waits in it
        has expired.

        Raises:
            ShardUnavailable: If the channel's shard could not be heard within `publish_timeout`.
        """
        self._sweep()
        await self._registry.settled(self._shard_of(channel))
        mailbox = self._kept[channel] = self._make_mailbox(channel, is_new=True)
        return mailbox

    def mailbox(self, channel: str) -> Mailbox:
        """Return where this node receives a channel; it lives while somebody holds it."""
        return self._mailboxes.get(channel) or self._make_mailbox(channel, is_new=False)

    def drop_mailbox(self, channel: str) -> None:
        """Keep a mailbox that lost a receiver or a group only if something waits in it."""
        mailbox = self._mailboxes.get(channel)
        if mailbox is None or mailbox.is_empty:
            self._kept.pop(channel, None)
        else:
            self._kept[channel] = mailbox

    def _sweep(self) -> None:
        """Give up mailboxes whose channels nobody receives any more; seldom, so O(1) each."""
        if len(self._kept) >= self._sweep_at:
            for channel in [name for name, mailbox in self._kept.items() if mailbox.is_stale]:
                del self._kept[channel]
            self._sweep_at = max(MAILBOXES_SWEPT_AT, 2 * len(self._kept))

    async def _restore(self, channel: str, queued: Queued) -> None:
        try:
            await self._backend.restore(self._shard_of(channel), channel, queued)
        except ShardUnavailable as error:
            self._complain("A message of %s was lost: %s", channel, error)

    def drop_message(self, channel: str, error: UndecodableMessage) -> None:
        """Count a message that could not be decoded, and say so once in a while."""
        self.undecodable += 1
        self._complain("%s: %s", channel, error)

    def forget_mailbox(self, channel: str) -> None:
        """Give up a channel that nobody will receive any more, with what waits here for it."""
        self._kept.pop(channel, None)

    def _make_mailbox(self, channel: str, *, is_new: bool) -> Mailbox:
        shard = self._shard_of(channel)
        is_local = is_process_local(channel)
        reader = "" if is_local else self.id
        mailbox = self._mailboxes[channel] = Mailbox(
            channel,
            capacity=self._options.capacity_of(channel),
            expiry=self._options.expiry,
            fetch=lambda: self._backend.receive(shard, channel, reader=reader),
            restore=None if is_local else partial(self._restore, channel),
            clock=asyncio.get_running_loop().time,
            is_new=is_new,
        )
        return mailbox

    # What the backend tells

    def arrived(self, shard: int, batch: bytes) -> None:
        """Take a batch from a shard."""
        try:
            entries = wire.unpack_batch(batch)
        except WireError as error:
            self.broken_batches += 1
            self._complain("Shard %d: %s", shard, error)
            return
        hub = self._hubs[shard]
        publications = []
        for entry in entries:
            if entry.kind == wire.Kind.PUBLICATION:
                publications.append(
                    Publication(
                        room=entry.name, data=entry.payload, offset=entry.offset, epoch=entry.epoch
                    )
                )
            elif entry.kind == wire.Kind.MESSAGE:
                self._deliver_message(shard, entry)
            elif entry.kind == wire.Kind.WAKE_UP:
                mailbox = self._mailboxes.get(entry.name)
                if mailbox is not None:
                    mailbox.wake()
            elif entry.kind == wire.Kind.ADD:
                # A member at once, since its messages follow; registered as soon as may be.
                channel = entry.payload.decode()
                room = self._enlist(entry.name, channel)
                self._own(self._add_for_another(room, channel), f"add to {entry.name}")
            elif entry.kind == wire.Kind.DISCARD:
                self._discard(entry.name, entry.payload.decode())
            elif entry.kind == wire.Kind.FLUSH:
                self._forget_channels(shard, entry.payload)
        if publications:
            hub.feed(publications)
            self._deliver(shard)

    def _deliver_message(self, shard: int, entry: wire.Entry) -> None:
        room = self._hubs[shard].rooms.get(entry.name)
        if room is None:
            return
        now = asyncio.get_running_loop().time()
        missed = 0
        for channel, membership in list(room.channels.items()):
            if membership.ends <= now:
                self._discard(entry.name, channel)
            elif not membership.channel.deliver(entry.payload):
                missed += 1
        if missed:
            self.missed_messages += missed
            self._complain_of_full(
                "%d of %d channels of %s are full and missed a message; %d were missed so far",
                missed,
                len(room.channels),
                entry.name,
                self.missed_messages,
            )

    async def _add_for_another(self, room: Room, channel: str) -> None:
        try:
            await self._register(room, channel)
        except ShardUnavailable as error:
            self._complain("%s could not be added to %s: %s", channel, room.name, error)

    def resumed(self, shards: Sequence[int]) -> None:
        """Join the rooms of these shards again, unless they are heard for the first time.

        Every channel's queue is looked at, the first time too.
        """
        again = self._heard.intersection(shards)
        first = sorted(set(shards) - self._heard)
        self._heard.update(shards)
        if first:
            self._registry.lease(first)
        self._registry.tried(shards)
        for shard in again:
            for room in self._hubs[shard].rooms.values():
                if room.entering is None and room.held is None:
                    self._reenter(shard, room)
                else:
                    room.deaf = True  # its answer may be from before the shard was heard again
        # What was sent before this node could be heard woke nobody.
        for channel, mailbox in list(self._mailboxes.items()):
            if self._shard_of(channel) in shards:
                mailbox.look()
        if not self._silent.isdisjoint(shards):
            self._silent.difference_update(shards)
            self._notify(self._options.on_reconnect)

    def lost(self, shards: Sequence[int]) -> None:
        """Tell the channels that something may be missed, if that was asked for."""
        self._registry.tried(shards)
        newly = self._heard.intersection(shards) - self._silent
        if newly:
            self._silent |= newly
            self._notify(self._options.on_disconnect)

    def _notify(self, type: str) -> None:
        if not type:
            return
        options = self._options
        serializer = Serializer(options.serializer_format, options.symmetric_encryption_keys)
        notice = serializer.dumps({"type": type})
        for channel, mailbox in list(self._mailboxes.items()):
            if is_process_local(channel):
                mailbox.deliver(notice)

    # Figures

    def stats(self) -> dict[str, int]:
        """Return the counts of this node since it was made."""
        return {
            "delivered": sum(hub.delivered for hub in self._hubs),
            "unwanted": sum(hub.unwanted for hub in self._hubs),
            "failed_members": sum(hub.failed for hub in self._hubs),
            "missed_messages": self.missed_messages,
            "broken_batches": self.broken_batches,
            "undecodable_messages": self.undecodable,
            "rooms": self.rooms(),
            "members": sum(len(room) for hub in self._hubs for room in hub.rooms.values()),
        }

    def _shard_of(self, name: str) -> int:
        return shard_of(name, self._options.shards)

    def _members(self, shard: int, name: str) -> int:
        room = self._hubs[shard].rooms.get(name)
        return len(room) if room is not None else 0

    def _deliver(self, shard: int) -> None:
        if self._deliveries[shard] is None:
            self._deliveries[shard] = asyncio.create_task(
                self._run_delivery(shard), name=f"delivery of shard {shard}"
            )

    async def _run_delivery(self, shard: int) -> None:
        try:
            await self._hubs[shard].deliver()
        finally:
            self._deliveries[shard] = None

    async def _enter(self, shard: int, room: Room, since: Position | None) -> JoinReply:
        """Register a room that is not registered, for this caller and all that come meanwhile."""

        room.entering = self._own(self._run_entry(shard, room, since), f"enter {room.name}")
        reply: JoinReply = await asyncio.shield(room.entering)
        return reply

    async def _run_entry(self, shard: int, room: Room, since: Position | None) -> JoinReply:
        # Admits before it ends: who finds the task done must find the room entered.
        try:
            reply = await self._registry.join(shard, room.name, members=len(room), since=since)
        finally:
            room.entering = None  # if it failed, whoever waited leaves and the room lingers out
        self._admit(shard, room, reply.position)
        return reply

    def _admit(self, shard: int, room: Room, *admission: Any, contiguous: bool = True) -> None:
        self._hubs[shard].admit(room, *admission, contiguous=contiguous)
        self._deliver(shard)
        if room.deaf:
            room.deaf = False
            self._reenter(shard, room)

    def _reenter(self, shard: int, room: Room) -> None:
        """Ask for what a room missed, until the shard answers; its publications wait meanwhile."""
        self._hubs[shard].hold(room)
        room.entering = self._own(self._run_reentry(shard, room), f"enter {room.name} again")

    async def _run_reentry(self, shard: int, room: Room) -> None:
        try:
            async with self._reentries:
                while True:
                    try:
                        reply = await self._registry.join(
                            shard,
                            room.name,
                            members=len(room),
                            since=room.position,
                            returns=True,
                        )
                        break
                    except ShardLayerError as error:
                        self._complain("%s can't be entered again yet: %s", room.name, error)
                        await asyncio.sleep(RETRY_PAUSE)
        finally:
            room.entering = None
        self._admit(shard, room, reply.position, reply.publications, contiguous=reply.recovered)

    def _give_up(self, shard: int, name: str) -> bool:
        hub = self._hubs[shard]
        room = hub.rooms.get(name)
        if room is None or len(room) or room.entering is not None:
            return False
        del hub.rooms[name]
        return True

    def _own(self, coroutine: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        task = asyncio.create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
