"""Shards on Redis 7+ or Valkey 7.2+: one server or several, shard i on server i modulo n."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from shardlayer import commands, wire
from shardlayer.backends.base import Backend, Listener
from shardlayer.backends.connection import CommandLink, Failure, Subscription
from shardlayer.backends.probe import read_report, require_supported
from shardlayer.commands import Batch, JoinReply, JoinRequest, Published
from shardlayer.exceptions import ConfigurationError, ShardUnavailable
from shardlayer.keys import (
    CHANNEL_MARK,
    ShardKeys,
    layout_key,
    parse_group_key,
    scan_pattern,
)
from shardlayer.options import LayerOptions
from shardlayer.sharding import hash_tags
from shardlayer.types import NodeId, Publication, RoomInfo

logger = logging.getLogger("shardlayer.redis")

WAITS_PER_TIMEOUT = 4  # how often a publication waits for replicas before its caller is told
FLUSH_COUNT = 1_000  # keys that one SCAN of a flush looks at


class RedisBackend(Backend):
    """Keeps the shards on Redis servers, over two connections to each."""

    def __init__(self, options: LayerOptions) -> None:
        self._options = options
        self._links = [CommandLink(host, timeout=options.publish_timeout) for host in options.hosts]
        self._subscriptions: list[Subscription] = []
        self._checked: set[int] = set()
        self._replication_ids: dict[int, str] = {}
        self._distrusted: dict[int, str] = {}  # epochs to go on under, by server
        self._checking = [asyncio.Lock() for _ in self._links]
        self._keys = [ShardKeys(tag) for tag in hash_tags(options.prefix, options.shards)]
        self.servers = [link.address for link in self._links]

    def server_of(self, shard: int) -> int:
        return shard % len(self._links)

    async def publish(self, shard: int, batch: Batch) -> Published:
        options = self._options
        call = commands.publish(
            self._keys[shard], batch, lease_ttl=options.lease_ttl, meta_ttl=options.meta_ttl
        )
        if not options.wait_replicas:
            reply = await self._on(shard, self._link(shard).call, call)
            return commands.read_published(batch, reply)
        milliseconds = commands.milliseconds(options.publish_timeout / WAITS_PER_TIMEOUT)
        wait = ("WAIT", options.wait_replicas, milliseconds)
        reply, replicas = await self._on(shard, self._link(shard).call_then, call, wait)
        if replicas < options.wait_replicas:
            # Applied, but a failover now would lose it: the publisher asks again.
            raise ShardUnavailable(
                shard=shard,
                server=self.servers[self.server_of(shard)],
                reason=f"{replicas} of {options.wait_replicas} replicas have the publications",
            )
        return commands.read_published(batch, reply)

    async def join(self, shard: int, request: JoinRequest) -> JoinReply:
        options = self._options
        if request.returns:
            # Which server this is now is asked first: it decides what it can be trusted with.
            await self._on(shard, self._link(shard).execute, "PING")
        call = commands.join(
            self._keys[shard],
            request,
            lease_ttl=options.lease_ttl,
            meta_ttl=options.meta_ttl,
            distrust=self._distrusted.get(self.server_of(shard), ""),
        )
        reply = await self._on(shard, self._link(shard).call, call)
        return commands.read_joined(request.group, reply)

    async def leave(self, shard: int, node: NodeId, groups: Sequence[str]) -> None:
        link, keys = self._link(shard), self._keys[shard]
        await asyncio.gather(
            *(self._on(shard, link.execute, "HDEL", keys.nodes(group), node) for group in groups)
        )

    async def report(self, shard: int, node: NodeId, members: Mapping[str, int]) -> None:
        link, keys = self._link(shard), self._keys[shard]
        await asyncio.gather(
            *(
                self._on(shard, link.execute, "HSET", keys.nodes(group), node, count)
                for group, count in members.items()
            )
        )

    async def renew(self, shard: int, node: NodeId) -> bool:
        call = commands.renew(self._keys[shard], node, lease_ttl=self._options.lease_ttl)
        return bool(await self._on(shard, self._link(shard).call, call))

    async def withdraw(self, shard: int, node: NodeId) -> None:
        await self._on(shard, self._link(shard).execute, "ZREM", self._keys[shard].alive, node)

    async def send(
        self, shard: int, channel: str, message: bytes, *, capacity: int, reader: str
    ) -> bool:
        call = commands.send(
            self._keys[shard],
            channel,
            message,
            capacity=capacity,
            expiry=self._options.expiry,
            reader=reader,
        )
        return bool(await self._on(shard, self._link(shard).call, call))

    async def receive(self, shard: int, channel: str, *, reader: str) -> bytes | None:
        call = commands.receive(self._keys[shard], channel, reader=reader)
        message: bytes | None = await self._on(shard, self._link(shard).call, call)
        return message

    async def enroll(self, shard: int, group: str, channel: str, *, node: str, add: bool) -> None:
        call = commands.enroll(self._keys[shard], group, channel, node=node, add=add)
        await self._on(shard, self._link(shard).call, call)

    async def attach(self, shard: int, group: str, channel: str) -> None:
        expiry = self._options.group_expiry
        call = commands.attach(self._keys[shard], group, channel, expiry=expiry)
        await self._on(shard, self._link(shard).call, call)

    async def detach(self, shard: int, group: str, channel: str) -> None:
        key = self._keys[shard].nodes(group)
        await self._on(shard, self._link(shard).execute, "HDEL", key, CHANNEL_MARK + channel)

    async def history(self, shard: int, group: str, limit: int) -> list[Publication]:
        link, keys = self._link(shard), self._keys[shard]
        epoch, held = await asyncio.gather(
            self._on(shard, link.execute, "HGET", keys.meta(group), "e"),
            self._on(
                shard, link.execute, "XREVRANGE", keys.history(group), "+", "-", "COUNT", limit
            ),
        )
        return [
            commands.publication(
                group, int(identifier.partition(b"-")[0]), fields[b"p"], commands.text(epoch or "")
            )
            for identifier, fields in reversed(held)
        ]

    async def info(self, shard: int, groups: Sequence[str]) -> list[RoomInfo]:
        return await asyncio.gather(*(self._info(shard, group) for group in groups))

    async def _info(self, shard: int, group: str) -> RoomInfo:
        link, keys = self._link(shard), self._keys[shard]
        nodes, meta, length = await asyncio.gather(
            self._on(shard, link.execute, "HGETALL", keys.nodes(group)),
            self._on(shard, link.execute, "HGETALL", keys.meta(group)),
            self._on(shard, link.execute, "XLEN", keys.history(group)),
        )
        return RoomInfo(
            room=group,
            shard=shard,
            nodes={
                node: int(members)
                for node, members in ((commands.text(key), value) for key, value in nodes.items())
                if not node.startswith(CHANNEL_MARK)
            },
            offset=int(meta.get(b"o", 0)),
            epoch=commands.text(meta.get(b"e", "")),
            history_length=length,
        )

    async def scan(self, server: int, cursor: int, count: int) -> tuple[int, list[str]]:
        pattern = scan_pattern(self._options.prefix)
        next_cursor, found = await self._at(
            server,
            self._links[server].execute,
            "SCAN",
            cursor,
            "MATCH",
            pattern,
            "COUNT",
            count,
            "TYPE",
            "hash",
        )
        parsed = (parse_group_key(commands.text(key)) for key in found)
        return next_cursor, list(dict.fromkeys(key[1] for key in parsed if key is not None))

    async def ping(self, server: int) -> float:
        begun = time.perf_counter()
        await self._at(server, self._links[server].execute, "PING")
        return time.perf_counter() - begun

    async def flush(self) -> None:
        pattern = scan_pattern(self._options.prefix)
        for server, link in enumerate(self._links):
            cursor = None
            while cursor != 0:
                cursor, found = await self._at(
                    server,
                    link.execute,
                    "SCAN",
                    cursor or 0,
                    "MATCH",
                    pattern,
                    "COUNT",
                    FLUSH_COUNT,
                )
                if found:
                    await self._at(server, link.execute, "UNLINK", *found)

    async def listen(self, node: NodeId, listener: Listener) -> None:
        servers = range(len(self._links))
        self._subscriptions = [self._subscribe(server, node, listener) for server in servers]

    def _subscribe(self, server: int, node: NodeId, listener: Listener) -> Subscription:
        shards = [shard for shard in range(self._options.shards) if self.server_of(shard) == server]
        sources: dict[bytes, int] = {}
        for shard in shards:
            sources[self._keys[shard].inbox(node).encode()] = shard
            sources[self._keys[shard].all_nodes.encode()] = shard
        return Subscription(
            self._options.hosts[server],
            [channel.decode() for channel in sources],
            on_message=lambda channel, data: listener.arrived(sources[channel], data),
            on_resumed=lambda: self._resumed(server, shards, listener),
            timeout=self._options.publish_timeout,
        )

    def _resumed(self, server: int, shards: Sequence[int], listener: Listener) -> None:
        self._checked.discard(server)  # it may be another one than before, or empty
        listener.resumed(shards)

    async def heard(self, shard: int) -> None:
        await self._subscriptions[self.server_of(shard)].hears.wait()

    async def aclose(self) -> None:
        subscriptions, self._subscriptions = self._subscriptions, []
        for subscription in subscriptions:
            await subscription.aclose()
        for link in self._links:
            await link.aclose()

    def _link(self, shard: int) -> CommandLink:
        return self._links[self.server_of(shard)]

    async def _on(self, shard: int, command: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
        return await self._at(self.server_of(shard), command, *arguments, shard=shard)

    async def _at(
        self,
        server: int,
        command: Callable[..., Awaitable[Any]],
        *arguments: Any,
        shard: int | None = None,
    ) -> Any:
        try:
            if server not in self._checked:
                await self._check(server)
            return await command(*arguments)
        except Failure as error:
            raise ShardUnavailable(
                shard=server if shard is None else shard,  # shard i of the first n is on server i
                server=self.servers[server],
                reason=str(error),
            ) from error

    async def _check(self, server: int) -> None:
        """Refuse a server that is too old, or that processes with other `shards` use."""
        async with self._checking[server]:
            if server not in self._checked:
                await self._ask(server)
                self._checked.add(server)

    def _recognise(self, server: int, replication_id: str) -> None:
        """Notice that behind one address there is another server now, promoted in a failover.

        Replication is asynchronous: unless publications wait for replicas it may lack some that
        were acknowledged. Its rooms then go on under an epoch that all nodes derive alike.
        """
        known = self._replication_ids.setdefault(server, replication_id)
        has_replicas = bool(self._options.hosts[server].master_name)
        if known != replication_id:
            self._replication_ids[server] = replication_id
            if has_replicas and not self._options.wait_replicas:
                self._distrusted[server] = replication_id[: wire.EPOCH_LENGTH]

    async def _ask(self, server: int) -> None:
        link, shards = self._links[server], self._options.shards
        layout = layout_key(self._options.prefix)
        info, _, found = await asyncio.gather(
            link.execute("INFO", "everything"),
            link.execute("SETNX", layout, shards),
            link.execute("GET", layout),
        )
        report = read_report(link.address, info)
        require_supported(report)
        if int(found) != shards:
            raise ConfigurationError(
                f"{link.address} holds {int(found)} shards under the prefix "
                f"{self._options.prefix!r}, and this process has shards = {shards}: they would "
                f"not find each other's groups. See docs/operate.md for how to change it."
            )
        self._recognise(server, report.replication_id)
        if report.evicts:
            logger.warning(
                "%s has maxmemory-policy %s: when its memory is full it deletes rooms, and clients "
                "lose messages. Set it to noeviction.",
                link.address,
                report.maxmemory_policy,
            )
