"""What a node hears: batches, that shards can be heard or can't, and that they were flushed.

The node hears batches from the shards it has members in, decodes each and hands what is in it to
its rooms, its groups and its mailboxes. When a shard could not be heard for a while, or had
forgotten the node, every room in it is joined again.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from functools import partial

from shardlayer.aio.tasks import Tasks
from shardlayer.aio.throttled_log import ThrottledLog
from shardlayer.broker.interface import Backend
from shardlayer.broker.values import Order
from shardlayer.channels.group_census import SINKS, answer_of
from shardlayer.core import wire
from shardlayer.core.channel_names import node_of
from shardlayer.core.exceptions import ScriptFailed, ShardUnavailable, WireError
from shardlayer.core.options import LayerOptions
from shardlayer.core.sharding import shard_of
from shardlayer.core.types import Position, Publication, Sink
from shardlayer.delivery.arrivals import Trace, size_of
from shardlayer.delivery.presence_reports import Turned
from shardlayer.layer.node_parts import NodeParts

logger = logging.getLogger(__name__)

FLUSH_MARK_BYTES = 8

# What most entries are, and made of: looked up and called without a frame for each of them.
_PUBLICATION = int(wire.Kind.PUBLICATION)
_MESSAGE = int(wire.Kind.MESSAGE)
_WAKE_UP = int(wire.Kind.WAKE_UP)
_STAMP = int(wire.Kind.STAMP)
_TRACE = int(wire.Kind.TRACE)
_SHARD = int(wire.Kind.SHARD)
_as_publication: Callable[[tuple[str, bytes, int, str, str, None, None]], Publication] = partial(
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


class Hearing(NodeParts):
    """The hearing half of a node; satisfies `shardlayer.broker.interface.Listener`.

    Attributes:
        lost_at: Shards that were heard and can't be now: since when, in Unix seconds.
        back_at: Shards that could not be heard for a while: since when they can again.
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
        super().__init__(backend, options, process=process, tasks=tasks, on_turned=on_turned)
        self._heard: set[int] = set()
        self._silent: set[int] = set()  # heard once, and not now
        self._has_channels = False  # whose names others may know
        self.lost_at: dict[int, float] = {}
        self.back_at: dict[int, float] = {}
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

    async def settled(self, channel: str) -> None:
        """Wait until what is sent to a channel of this node would be heard.

        Raises:
            ShardUnavailable: If the channel's shard could not be heard within `publish_timeout`.
        """
        await self._settled(shard_of(channel, self._options.shards))
        self._has_channels = True

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
            if flush.missing:  # the last one may have been heard of in the turn that ends it
                raise self._backend.unavailable(min(flush.missing)) from None
        finally:
            del self._flushes[mark]

    def arrived(self, shard: int, batch: bytes) -> None:
        """Take a batch from a shard, or one that says itself which shards it is from."""
        try:
            entries = wire.unpack_batch(batch)
        except WireError as error:
            self.broken_batches += 1
            self._complain("Shard %d: %s", shard, error)
            return
        publications: list[Publication] = []
        size = len(batch)
        since = 0.0
        traces: list[Trace] = []
        for kind, name, payload, offset, epoch in entries:
            if kind == _PUBLICATION:
                if wire.may_be_json(payload):
                    publications.append(
                        _as_publication((name, payload, offset, epoch, "", None, None))
                    )
                    continue
                self._refuse(shard, name, "a publication is no JSON text in UTF-8")
                if offset:  # it has a place, which the next one follows
                    publications.append(Publication(name, wire.UNREADABLE, offset, epoch))
                elif traces and traces[-1][0] == len(publications):
                    del traces[-1]  # it would seem to be the next one's
            elif kind == _MESSAGE:
                self.orders.deliver(name, payload)
            elif kind == _WAKE_UP:
                self.mailboxes.wake(name)
            elif kind == _SHARD:
                if publications:
                    self._rooms.feed(shard, publications, size_of(publications), since, traces)
                    publications, traces = [], []
                size = 0
                if offset >= self._options.shards:
                    self._refuse(shard, "a shard", f"there is no shard {offset}")
                    return
                shard = offset
            elif kind == _STAMP:
                since = wire.unpack_stamp(payload)
            elif kind == _TRACE:
                traces.append((len(publications), payload))
            elif kind in (wire.Kind.ADD, wire.Kind.DISCARD):
                self._ordered(shard, kind, name, payload, offset)
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
            elif kind == wire.Kind.PROBE and payload:
                self.orders.echoed(shard, payload)
            elif kind == wire.Kind.CLEARED:
                self._rooms.cleared(name, Position(offset, epoch))
        if publications:
            self._rooms.feed(shard, publications, size or size_of(publications), since, traces)

    def resumed(self, shards: Sequence[int]) -> None:
        """Join the rooms of these shards again, unless they are heard for the first time.

        Every channel's queue is looked at, the first time too. So are orders for groups, if others
        may know a channel of this node: at a start they don't.
        """
        again = self._heard.intersection(shards)
        self._heard.update(shards)
        self._leases.begin(shards)  # again, too: a server that has lost them knows no node
        self._leases.tried(shards)
        in_doubt = sorted(shards if self._has_channels else again)
        self.orders.heard(set(shards).difference(in_doubt))
        self.orders.doubt(in_doubt)
        for shard in again:
            self._rooms.resumed(shard)
            self.presence.doubt(shard)
        self.mailboxes.look(shards)  # what was sent before this node could be heard woke nobody
        if back := self._silent.intersection(shards):
            self._silent -= back
            for shard in back:
                self.lost_at.pop(shard, None)
            self.back_at |= dict.fromkeys(back, time.time())
            self._tell(self._options.on_reconnect)

    def lost(self, shards: Sequence[int]) -> None:
        """Tell the channels that something may be missed, if that was asked for."""
        self._leases.tried(shards)
        newly = self._heard.intersection(shards) - self._silent
        if newly:
            self._silent |= newly
            self.lost_at |= dict.fromkeys(newly, time.time())
            for shard in newly:
                self.back_at.pop(shard, None)
            self.orders.lost(newly)
            self._tell(self._options.on_disconnect)

    def _ordered(self, shard: int, kind: int, group: str, payload: bytes, number: int) -> None:
        """Add a channel to a group, or discard it, as another process says."""
        channel = str(payload, "ascii", "replace")
        if not group.isascii() or not channel.isascii() or node_of(channel) != self.id:
            self._refuse(shard, group, f"{payload!r:.100} is no channel of this node")
        else:
            self.orders.hear(shard, Order(number, group, channel, kind == wire.Kind.ADD))

    async def _answer(self, shard: int, group: str, question: bytes) -> None:
        """Say which channels of a group are here; without an answer this node is left out."""
        if question[:1] == SINKS:
            room = self._rooms.find(group)
            sinks: Collection[Sink] = () if room is None else room.sinks.keys()
            answer = b"" if self.describe is None else self.describe(group, sinks)
        else:
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
        self.orders.flushed(shard)
        self.presence.doubt(shard)
        self.mailboxes.flushed(shard)
        flush = self._flushes.get(mark)
        if flush is not None:
            flush.heard(shard)

    def _tell(self, type: str) -> None:
        if type:
            self.mailboxes.tell(type)
