"""The channel layer: Channels' contract, and what Shardlayer adds to it.

The specification is https://channels.readthedocs.io/en/stable/channel_layer_spec.html; docstrings
name its sections.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import msgpack
from channels.exceptions import ChannelFull
from channels.layers import BaseChannelLayer

from shardlayer import wire
from shardlayer.backends.connection import address_of
from shardlayer.commands import Outgoing
from shardlayer.engine import Engine, Engines
from shardlayer.exceptions import MessageTooLarge, ShardLayerError, ShardUnavailable
from shardlayer.mailbox import is_process_local, node_of
from shardlayer.node import Node
from shardlayer.options import NO_HISTORY, LayerOptions
from shardlayer.sharding import shard_of
from shardlayer.types import Position, Publication, RoomInfo

HISTORY_LIMIT = 1_000  # publications that one call of `history` returns, at most
CHANNEL_ID_BYTES = 8


class ShardedChannelLayer(BaseChannelLayer):  # type: ignore[misc]
    """A channel layer over 32 shards.

    Give it the keys of `shardlayer.options.LayerOptions` as `CONFIG` in `CHANNEL_LAYERS`. All
    methods may be called from any event loop and thread of the process; `receive`, `new_channel`
    and `node` belong to the loop they are called in.
    """

    extensions = ["groups", "flush"]

    def __init__(self, **config: Any) -> None:
        self.options = LayerOptions.from_config(**config)
        super().__init__(
            expiry=self.options.expiry,
            capacity=self.options.capacity,
            channel_capacity=self.options.channel_capacity,
        )
        self.channel_capacity = self.compile_capacities(dict(self.options.channel_capacity))
        self.group_expiry = self.options.group_expiry
        self._engines = Engines(self.options)

    # Channels: "Core methods"

    async def send(self, channel: str, message: dict[str, Any]) -> None:
        """Append a message to a channel.

        Raises:
            TypeError: If the name or the message is not valid.
            ChannelFull: If as many messages wait as the channel's capacity allows.
            MessageTooLarge, ShardUnavailable: Nothing was sent; or, of the latter, perhaps.
        """
        self.require_valid_channel_name(channel)
        payload = self._serialize(message)
        reader = node_of(channel) if is_process_local(channel) else ""

        async def work(engine: Engine) -> bool:
            return await engine.backend.send(
                self.shard_of(channel),
                channel,
                payload,
                capacity=self.get_capacity(channel),
                reader=reader,
            )

        if not await self._engines.run(work):
            raise ChannelFull(channel)

    async def receive(self, channel: str) -> dict[str, Any]:
        """Wait for the next message of a channel and return it; cancelling it loses none."""
        self.require_valid_channel_name(channel)
        node = await self.node()
        mailbox = node.mailbox(channel, self.get_capacity(channel))
        try:
            payload = await mailbox.get()
        except asyncio.CancelledError:
            node.drop_mailbox(channel)
            raise
        message: dict[str, Any] = msgpack.unpackb(payload, strict_map_key=False)
        return message

    async def new_channel(self, prefix: str = "specific") -> str:
        """Return a new process-local channel, `PREFIX.NODE!ID`, received by the running loop.

        Raises:
            ShardUnavailable: If the channel's shard could not be heard within `publish_timeout`.
        """
        node = await self.node()
        channel = f"{prefix}.{node.id}!{secrets.token_hex(CHANNEL_ID_BYTES)}"
        self.require_valid_channel_name(channel)
        await node.new_mailbox(channel, self.get_capacity(channel))
        return channel

    # Channels: "Groups" extension

    async def group_add(self, group: str, channel: str) -> None:
        """Make a channel a member of a group; again is no error."""
        self.require_valid_group_name(group)
        self.require_valid_channel_name(channel)
        engine = self._engine_of(channel)
        node = await engine.start_node()
        mailbox = node.mailbox(channel, self.get_capacity(channel))
        await self._engines.run_on(engine, lambda: node.group_add(group, mailbox))

    async def group_discard(self, group: str, channel: str) -> None:
        """End a channel's membership in a group, if there is one."""
        self.require_valid_group_name(group)
        self.require_valid_channel_name(channel)
        engine = self._engine_of(channel)
        node = await engine.start_node()

        async def discard() -> None:
            node.group_discard(group, channel)

        await self._engines.run_on(engine, discard)

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        """Send a message to all members of a group; a member that is full misses it.

        Raises:
            TypeError, MessageTooLarge: Nothing was sent.
            ShardUnavailable: Redis did not acknowledge it within `publish_timeout`.
        """
        self.require_valid_group_name(group)
        body = wire.pack_body(wire.Kind.MESSAGE, group, self._serialize(message))
        item = Outgoing(group, body, NO_HISTORY)
        shard = self.shard_of(group)
        await self._engines.run(lambda engine: engine.publisher.publish(shard, item))

    # Channels: "Flush" extension

    async def flush(self) -> None:
        """Delete all that this layer keeps in Redis, under its prefix, and nothing else."""
        await self._engines.run(lambda engine: engine.backend.flush())

    async def close(self) -> None:
        """Send what waits and close the connections of the running loop."""
        await self._engines.aclose()

    # Rooms: JSON that clients get as it was published

    async def node(self) -> Node:
        """Return the node of the running event loop, started on first use."""
        return await self._engines.own().start_node()

    async def publish(self, room: str, data: bytes) -> Position | None:
        """Publish JSON text, in UTF-8, to a room's members and its history.

        Returns when Redis has acknowledged it: where it stands in the room, or None if the room
        keeps no history. The bytes are not parsed: what they are is the caller's duty.

        Raises:
            TypeError: If the room's name is not valid.
            MessageTooLarge: If `data` is larger than `max_message_size`.
            ShardUnavailable: If it was not acknowledged within `publish_timeout`; whether it was
                published is then unknown.
        """
        item = self._outgoing(room, data)
        shard = self.shard_of(room)
        return await self._engines.run(lambda engine: engine.publisher.publish(shard, item))

    async def publish_many(self, items: Sequence[tuple[str, bytes]]) -> list[Position | None]:
        """Publish several (room, data), each room's in the given order.

        All are tried, whatever becomes of the others. Raises like `publish`: for bad input
        before anything is sent, else the first failure after all have ended.
        """
        by_shard: dict[int, list[int]] = {}
        outgoing = []
        for index, (room, data) in enumerate(items):
            outgoing.append(self._outgoing(room, data))
            by_shard.setdefault(self.shard_of(room), []).append(index)

        async def work(engine: Engine) -> list[list[Position | BaseException | None]]:
            return await asyncio.gather(
                *(
                    engine.publisher.publish_all(shard, [outgoing[index] for index in indices])
                    for shard, indices in by_shard.items()
                )
            )

        positions: list[Position | None] = [None] * len(items)
        answers = await self._engines.run(work)
        for indices, results in zip(by_shard.values(), answers, strict=True):
            for index, result in zip(indices, results, strict=True):
                if isinstance(result, BaseException):
                    raise result
                positions[index] = result
        return positions

    # Looking at it

    def shard_of(self, name: str) -> int:
        """Return the shard of a group or channel."""
        return shard_of(name, self.options.shards)

    def servers(self) -> list[str]:
        """Return the addresses of the Redis servers, without passwords."""
        return [address_of(host) for host in self.options.hosts]

    async def ping(self) -> dict[str, float | ShardUnavailable]:
        """Return for each server how many seconds it took to answer, or why it did not."""

        async def one(engine: Engine, server: int) -> float | ShardUnavailable:
            try:
                return await engine.backend.ping(server)
            except ShardUnavailable as error:
                return error

        async def work(engine: Engine) -> dict[str, float | ShardUnavailable]:
            servers = engine.backend.servers
            answers = await asyncio.gather(*(one(engine, index) for index in range(len(servers))))
            return dict(zip(servers, answers, strict=True))

        return await self._engines.run(work)

    async def scan_rooms(
        self, server: int, cursor: int = 0, count: int = 100
    ) -> tuple[int, list[RoomInfo]]:
        """Return the next cursor and some rooms of a server; begins and ends with cursor 0.

        About `count` keys are looked at. A room may come twice.

        Raises:
            ShardUnavailable: If the server can't be reached.
        """

        async def work(engine: Engine) -> tuple[int, list[RoomInfo]]:
            next_cursor, names = await engine.backend.scan(server, cursor, count)
            by_shard: dict[int, list[str]] = {}
            for name in names:
                by_shard.setdefault(self.shard_of(name), []).append(name)
            found = await asyncio.gather(
                *(engine.backend.info(shard, groups) for shard, groups in by_shard.items())
            )
            rooms = {room.room: room for rooms in found for room in rooms}
            return next_cursor, [rooms[name] for name in names]

        return await self._engines.run(work)

    async def room_info(self, room: str) -> RoomInfo:
        """Return what Redis knows of a room; zeros if there is none of that name."""
        self.require_valid_group_name(room)
        shard = self.shard_of(room)
        found = await self._engines.run(lambda engine: engine.backend.info(shard, [room]))
        return found[0]

    async def history(self, room: str, limit: int = HISTORY_LIMIT) -> list[Publication]:
        """Return a room's newest publications, at most `limit`, oldest first."""
        self.require_valid_group_name(room)
        shard = self.shard_of(room)
        return await self._engines.run(lambda engine: engine.backend.history(shard, room, limit))

    def stats(self) -> Mapping[str, int]:
        """Return counts of this process since it started (see docs/operate.md)."""
        return self._engines.stats()

    # Inside

    def _engine_of(self, channel: str) -> Engine:
        if not is_process_local(channel):
            return self._engines.own()
        engine = self._engines.with_node(node_of(channel))
        if engine is None:
            raise ShardLayerError(
                f"{channel} is a channel of another process; only its own process can add it to "
                f"a group."
            )
        return engine

    def _outgoing(self, room: str, data: bytes) -> Outgoing:
        self.require_valid_group_name(room)
        self._check_size(data)
        body = wire.pack_body(wire.Kind.PUBLICATION, room, data)
        return Outgoing(room, body, self.options.policy_of(room))

    def _serialize(self, message: dict[str, Any]) -> bytes:
        if not isinstance(message, dict):
            raise TypeError(f"A message is a dict, not {type(message).__name__}.")
        payload: bytes = msgpack.packb(message, use_bin_type=True)
        self._check_size(payload)
        return payload

    def _check_size(self, payload: bytes) -> None:
        limit = self.options.max_message_size
        if len(payload) > limit:
            raise MessageTooLarge(size=len(payload), limit=limit)
