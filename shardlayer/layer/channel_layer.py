"""The channel layer: Channels' contract, and what Shardlayer adds to it.

The specification is https://channels.readthedocs.io/en/stable/channel_layer_spec.html; docstrings
name its sections.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from channels.exceptions import ChannelFull
from channels.layers import BaseChannelLayer

from shardlayer.aio.throttled_log import ThrottledLog
from shardlayer.broker.values import Outgoing
from shardlayer.channels.mailbox import Claimed
from shardlayer.channels.reader import ChannelReader
from shardlayer.core import wire
from shardlayer.core.channel_names import is_process_local, new_channel, node_of
from shardlayer.core.exceptions import LoopEnded, MessageTooLarge, UndecodableMessage
from shardlayer.core.options import LayerOptions
from shardlayer.core.room_options import NO_HISTORY
from shardlayer.core.serializers import MAX_GROWTH, Serializer, json_size
from shardlayer.layer.blocking import Blocking
from shardlayer.layer.engine import Engine
from shardlayer.layer.engines import Engines
from shardlayer.layer.inspection import LayerInspection
from shardlayer.layer.layer_groups import LayerGroups
from shardlayer.layer.layer_presence import LayerPresence, RoomWatchers
from shardlayer.layer.layer_reports import LayerReports
from shardlayer.layer.node import Node
from shardlayer.layer.recent_groups import RecentGroups

logger = logging.getLogger(__name__)


def _changeable(name: str) -> property:
    """Return an attribute of the layer that is an option, and has effect when it is set later."""

    def get(layer: ShardedChannelLayer) -> Any:
        return getattr(layer.options, name)

    def change(layer: ShardedChannelLayer, value: Any) -> None:
        if value != getattr(layer.options, name):
            layer.options = layer.options.changed(**{name: value})
            layer._engines.change(layer.options)

    return property(get, change)


class ShardedChannelLayer(
    Blocking,
    LayerInspection,
    LayerReports,
    LayerPresence,
    LayerGroups,
    BaseChannelLayer,  # type: ignore[misc]
):
    """A channel layer over 32 shards.

    Give it the keys of `shardlayer.core.options.LayerOptions` as `CONFIG` in `CHANNEL_LAYERS`. All
    methods may be called from any event loop and thread of the process; `receive`, `new_channel`
    and `node` belong to the loop they are called in.
    """

    extensions = ["groups", "flush"]

    # As in Channels, but ASCII only and to the very end of the name.
    channel_name_regex = re.compile(r"[a-zA-Z0-9\-_.]+(![a-zA-Z0-9\-_.]*)?\Z")
    group_name_regex = re.compile(r"[a-zA-Z0-9\-_.]+\Z")

    def __init__(self, **config: Any) -> None:
        self.options = LayerOptions.from_config(**config)
        self.room_watchers = RoomWatchers()
        self._engines = Engines(self.options, self.room_watchers.tell)
        super().__init__(
            expiry=self.options.expiry,
            capacity=self.options.capacity,
            channel_capacity=self.options.channel_capacity,
        )
        self.channel_capacity = self.compile_capacities(dict(self.options.channel_capacity))
        self._serializer = Serializer(
            self.options.serializer_format, self.options.symmetric_encryption_keys
        )
        self._recent_groups = RecentGroups()
        self._complain_of_full = ThrottledLog(logger, logging.WARNING)

    # Attributes that Channels documents, and that applications set later

    expiry = _changeable("expiry")
    capacity = _changeable("capacity")
    group_expiry = _changeable("group_expiry")

    @property
    def channel_capacity(self) -> Any:
        """What `compile_capacities` made of the capacities of channels that have their own."""
        return self._channel_capacity

    @channel_capacity.setter
    def channel_capacity(self, value: Any) -> None:
        self._channel_capacity = value
        capacities = dict(self.options.channel_capacity)
        if value not in (capacities, self.compile_capacities(capacities)):
            self.options = self.options.changed(channel_capacity=dict(value))
            self._engines.change(self.options)

    # Channels: "Core methods"

    async def send(self, channel: str, message: dict[str, Any]) -> None:
        """Append a message to a channel.

        Raises:
            TypeError: If the name or the message is not valid.
            ChannelFull: If as many messages wait as the channel's capacity allows.
            MessageTooLarge, ShardUnavailable: Nothing was sent; or, of the latter, perhaps.
        """
        self.require_valid_channel_name(channel)
        payload = self.serialize(message)
        if not await self._engines.run(lambda engine: self._append(engine, channel, payload)):
            raise ChannelFull(channel)

    async def receive(self, channel: str) -> dict[str, Any]:
        """Wait for the next message of a channel and return it; cancelling it loses none.

        A process-local channel may be received in any event loop and thread of its process. While
        its own loop stands still, the calling one receives it.

        Raises:
            TypeError: If the name is not valid.
            RuntimeError: If it is a process-local channel of another process, or another layer.
            ShardUnavailable: If the channel's queue can't be reached; what waits there stays. Also
                if the layer is closed meanwhile: it is told at once, and does not wait for ever.
        """
        self.require_valid_channel_name(channel)
        looks = False
        while True:
            engine, still = self._receiver(channel)
            mailboxes = (engine.node or await engine.start_node()).mailboxes
            claimed: Claimed | None
            try:
                if still is None:
                    claimed = await self._engines.run_on(
                        engine,
                        partial(mailboxes.claim, channel, looks=looks),
                        unclaimed=partial(mailboxes.give_back, channel),
                    )
                else:
                    claimed = await mailboxes.claim_until(channel, still.is_running)
            except LoopEnded:  # the channel's, or it stands still: this one reads on
                continue
            if claimed is None:
                looks = True
                continue
            try:
                return self.deserialize(claimed.message)
            except UndecodableMessage as error:
                mailboxes.drop(channel, error)

    async def new_channel(self, prefix: str = "specific") -> str:
        """Return a new process-local channel, `PREFIX.NODE!ID`, received by the running loop.

        Raises:
            ShardUnavailable: If the channel's shard could not be heard within `publish_timeout`.
        """
        node = await self.node()
        channel = new_channel(prefix, node.id)
        self.require_valid_channel_name(channel)
        await node.settled(channel)
        node.mailboxes.begin(channel)
        return channel

    async def channel_reader(self, channel: str, notify: Callable[[], None]) -> ChannelReader:
        """Return a reader for a channel of this loop's `new_channel`, in place of `receive`.

        The reader hands out the messages that are here. It calls `notify` when it should be asked
        again. So a consumer that also waits for its client needs no task for each message. A
        subclass of the layer that changes `receive` must change this too.

        Raises:
            RuntimeError: If the channel is another loop's.
        """
        node = await self.node()
        if node_of(channel) != node.id:
            raise RuntimeError(f"{channel} is no channel of this event loop, which is {node.id}.")
        return ChannelReader(
            node.mailboxes.open(channel),
            self.deserialize,
            notify=notify,
            on_undecodable=partial(node.mailboxes.drop, channel),
            on_closed=partial(node.mailboxes.forget, channel),
        )

    # Channels: "Groups" extension

    async def group_add(self, group: str, channel: str) -> None:
        """Make a channel of any process a member of a group for `group_expiry`.

        Another call prolongs that. A channel of another process, which can't hear of it now, is a
        member once it hears again; one whose process is gone is ignored. If its own process changes
        the same while it knows that it is cut off, the later change counts.

        Raises:
            TypeError: If a name is not valid.
            ShardUnavailable: If the group's server can't be reached; or if the process hears
                nothing, and 1,000 changes of its channels on the group's shard wait for it.
        """
        await self._change_membership(group, channel, add=True)

    async def group_discard(self, group: str, channel: str) -> None:
        """End a channel's membership in a group, if there is one.

        It gets nothing that is sent to the group after this has returned. If its process can't
        hear of it now, it ends the membership before it delivers anything that it hears then.
        Raises like `group_add`. If as much waits for a process that has no lease, it is taken for
        gone: then neither call has an effect, or raises.
        """
        await self._change_membership(group, channel, add=False)

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        """Send a message to all members of a group; a member that is full misses it.

        Raises:
            TypeError, MessageTooLarge: Nothing was sent.
            ShardUnavailable: Redis did not acknowledge it within `publish_timeout`.
        """
        self.require_valid_group_name(group)
        self._recent_groups.note(group)
        payload = self.serialize(message)
        body = wire.pack_body(wire.Kind.MESSAGE, group, payload)
        item = Outgoing(self.shard_of(group), group, body, NO_HISTORY)

        async def work(engine: Engine) -> None:
            placed = await engine.publisher.publish(item)
            if placed.channels:
                await self._append_to_all(engine, group, placed.channels, payload)

        await self._engines.run(work)

    # Channels: "Flush" extension

    async def flush(self) -> None:
        """Delete all messages, groups and histories under this layer's prefix, and nothing else.

        Clients in rooms stay in them. Other processes hear of it before they hear anything that
        is sent after this call has returned.
        """
        await self._engines.run(lambda engine: engine.flush())

    # What applications of channels_redis call or override

    def serialize(self, message: dict[str, Any]) -> bytes:
        """Return what is sent for a message, encrypted if keys are given.

        Raises:
            TypeError: If it is no dict or holds what can't be encoded, naming the path to it.
            MessageTooLarge: If it is larger than `max_message_size`, both as it is encoded and
                as JSON text: in msgpack a list of numbers may take more than twice as much.
        """
        data = self._serializer.encode(message)
        limit = self.options.max_message_size
        if len(data) > limit:
            size = json_size(message) if len(data) <= MAX_GROWTH * limit else None
            if size is None or size > limit:
                raise MessageTooLarge(size=len(data), limit=limit)
        return self._serializer.encrypt(data)

    def deserialize(self, message: bytes) -> dict[str, Any]:
        """Return the message that `serialize` made these bytes of.

        Raises:
            UndecodableMessage: If they can't be decrypted with any key, or hold no message.
        """
        return self._serializer.loads(message)

    async def close(self) -> None:
        """Send what waits and close the connections of the running loop.

        Calls of this loop that wait to receive raise ShardUnavailable. The layer may be used
        again, with new connections.
        """
        await self._engines.aclose()

    async def close_pools(self) -> None:
        """Do what `close` does: what applications of channels_redis call."""
        await self.close()

    async def node(self) -> Node:
        """Return the node of the running event loop, started on first use."""
        return await self._engines.own().start_node()

    def use_running_loop(self) -> None:
        """Send from the running event loop over connections of its own, from now on.

        For a loop that sends much and lives long, such as that of a Kafka consumer. Without this,
        a loop that has no node sends through the background thread. That step costs more than the
        sending.
        `close` ends it.
        """
        self._engines.own()

    # Inside

    async def _change_membership(self, group: str, channel: str, *, add: bool) -> None:
        """Begin or end a membership where it is kept: in the channel's node, or by the shard."""
        self.require_valid_group_name(group)
        self.require_valid_channel_name(channel)
        shard, id = self.shard_of(group), node_of(channel) if is_process_local(channel) else ""

        async def in_node(node: Node) -> None:
            own, failed = node.orders.begin_own(shard, group, channel), True
            try:
                if add:
                    await node.memberships.add(group, channel)
                elif group in self._recent_groups:  # a message may still be on its way here
                    await node.memberships.discard_in_order(group, channel)
                else:
                    node.memberships.discard(group, channel)
                failed = False
            finally:
                node.orders.end_own(shard, own, failed=failed)

        async def by_shard(engine: Engine) -> None:
            backend = engine.backend
            if not id:
                await (backend.attach if add else backend.detach)(shard, group, channel)
            elif not await backend.enroll(shard, group, channel, node=id, add=add):
                raise backend.unavailable(shard, f"too much waits for {id}, which does not hear it")

        if not await self._on_node(id, in_node):
            await self._engines.run(by_shard)

    async def _append_to_all(
        self, engine: Engine, group: str, channels: Sequence[str], payload: bytes
    ) -> None:
        """Append a group's message to its normal channels; raises the first failure after all."""

        async def append(channel: str) -> None:
            async with engine.appends:
                if not await self._append(engine, channel, payload):
                    engine.publisher.counters.missed_messages += 1
                    self._complain_of_full("%s of %s is full and missed a message", channel, group)

        outcomes = await asyncio.gather(*map(append, channels), return_exceptions=True)
        for failure in filter(None, outcomes):
            raise failure

    async def _on_node(self, id: str, work: Callable[[Node], Awaitable[None]]) -> bool:
        """Do work on a node of this process; False if there is none of that id whose loop runs.

        A loop that stands still is told through the shard, like that of another process, and hears
        of it when it runs again.
        """
        engine = self._engines.with_node(id)
        if engine is None or not engine.loop.is_running() or (node := engine.node) is None:
            return False
        try:
            await self._engines.run_on(engine, lambda: work(node))
        except LoopEnded:
            return False
        return True

    def _receiver(self, channel: str) -> tuple[Engine, asyncio.AbstractEventLoop | None]:
        """Return the engine whose loop receives a channel: its own, or the running loop's.

        With it comes the channel's own loop, if that stands still and may run again.
        """
        if is_process_local(channel):
            node = node_of(channel)
            engine = self._engines.receiver_of(node)
            if engine is not None:
                return engine, None
            owner = self._engines.with_node(node)
            if owner is not None:
                return self._engines.own(), owner.loop
        return self._engines.own(), None

    async def _append(self, engine: Engine, channel: str, payload: bytes) -> bool:
        """Append to a channel's queue; False if it is full."""
        if is_process_local(channel):
            await self._tell_held(channel)
        return await engine.backend.send(
            self.shard_of(channel),
            channel,
            payload,
            capacity=self.get_capacity(channel),
            reader=node_of(channel) if is_process_local(channel) else "",
        )

    async def _tell_held(self, channel: str) -> None:
        """Have Redis know how many group messages this process holds, lest it refuses in error."""
        id = node_of(channel)
        owner = self._engines.with_node(id)
        node = owner.node if owner is not None else None
        if node is not None and node.mailboxes.is_behind(channel):
            await self._on_node(id, lambda node: node.mailboxes.tell_held(channel))
