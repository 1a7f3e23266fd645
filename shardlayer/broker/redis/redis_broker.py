"""Shards on Redis 7+ or Valkey 7.2+: every operation is one script, or one command.

Publications and leases are here; the other roles have files of their own beside this.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from shardlayer.aio.tasks import Tasks
from shardlayer.broker.interface import Backend, Listener
from shardlayer.broker.redis import calls
from shardlayer.broker.redis.calls import Call
from shardlayer.broker.redis.cluster import ClusterServers
from shardlayer.broker.redis.command_link import CommandLink
from shardlayer.broker.redis.publish_script import publish, read_published
from shardlayer.broker.redis.redis_inspection import RedisInspection
from shardlayer.broker.redis.redis_presence import RedisPresence
from shardlayer.broker.redis.redis_queues import RedisQueues
from shardlayer.broker.redis.replicas import Replicas
from shardlayer.broker.redis.servers import Servers
from shardlayer.broker.values import (
    PAGE_BYTES,
    RECOVERY_LIMIT,
    Batch,
    JoinReply,
    JoinRequest,
    Published,
)
from shardlayer.core.options import LayerOptions
from shardlayer.core.types import HistoryPage, Mark, NodeId, Position

logger = logging.getLogger("shardlayer.broker.redis")


def open_backend(options: LayerOptions, tasks: Tasks) -> RedisBackend:
    """Return a backend on the servers or the Cluster that `hosts` lists."""
    servers = ClusterServers if options.cluster else Servers
    return RedisBackend(options, servers(options, tasks))


class RedisBackend(RedisPresence, RedisQueues, RedisInspection, Backend):
    """Keeps the shards on Redis servers."""

    def __init__(self, options: LayerOptions, servers: Servers) -> None:
        super().__init__(options, servers)
        self._replicas = Replicas(options, servers)
        self._nodes = {}

    @property
    def servers(self) -> Sequence[str]:  # type: ignore[override]
        return self._servers.addresses

    @property
    def unheard(self) -> Sequence[str]:
        return self._servers.unheard

    def server_of(self, shard: int) -> int:
        return self._servers.addresses.index(self._servers.address_of(shard))

    def bundle_of(self, shard: int) -> int:
        return self._servers.bundle_of(shard)

    def widest_bundle_of(self, shard: int) -> int:
        return self._servers.widest_bundle_of(shard)

    async def publish(self, bundle: int, batch: Batch) -> Published:
        options = self._options
        call = publish(
            self._keys,
            bundle,
            batch,
            lease_ttl=options.lease_ttl,
            meta_ttl=options.meta_ttl,
            meta_ttl_per_publication=options.meta_ttl_per_publication,
            idempotency_ttl=options.idempotency_ttl,
            joint_prefix=self._keys[self._servers.widest_bundle_of(bundle)].joint_prefix,
        )
        published = read_published(batch, await self._call(bundle, call, batch))
        for room in published.mended:
            self._tell_of_history("publish", room)
        if options.wait_replicas:
            await self._replicas.confirm(bundle, batch)
        self._servers.lives.acknowledged(self._keys[bundle].writer(batch.writer), batch.number)
        return published

    async def join(self, shard: int, request: JoinRequest) -> JoinReply:
        call = self._join(shard, request)
        return self._read_joined(request, await self._call(shard, call, request.group))

    async def join_many(
        self, shard: int, requests: Sequence[JoinRequest]
    ) -> list[JoinReply | Exception]:
        calls = [self._join(shard, request) for request in requests]
        replies = await self._servers.run(shard, partial(CommandLink.call_all, calls=calls))
        read: list[JoinReply | Exception] = []
        for request, reply in zip(requests, replies, strict=True):
            try:
                if isinstance(reply, Exception):
                    # By itself it is mended, or follows its slot to where that has moved.
                    read.append(await self.join(shard, request))
                else:
                    read.append(self._read_joined(request, reply))
            except Exception as error:
                read.append(error)
        return read

    def _join(self, shard: int, request: JoinRequest) -> Call:
        options = self._options
        return calls.join(
            self._keys[shard],
            request,
            lease_ttl=options.lease_ttl,
            meta_ttl=options.meta_ttl,
            meta_ttl_per_publication=options.meta_ttl_per_publication,
            epoch_ttl=options.epoch_ttl(request.group),
        )

    def _read_joined(self, request: JoinRequest, answer: Any) -> JoinReply:
        reply = calls.read_joined(request.group, answer)
        if reply.mended:
            self._tell_of_history("join", request.group)
        return reply

    async def leave(self, shard: int, node: NodeId, groups: Sequence[str]) -> None:
        keys = self._keys[shard]
        await asyncio.gather(
            *(self._execute(shard, "HDEL", keys.nodes(group), node) for group in groups)
        )

    async def report(self, shard: int, node: NodeId, members: Mapping[str, int]) -> None:
        keys = self._keys[shard]
        await asyncio.gather(
            *(
                self._execute(shard, "HSET", keys.nodes(group), node, count)
                for group, count in members.items()
            )
        )

    async def renew(self, shard: int, node: NodeId) -> bool:
        call = calls.renew(self._keys[shard], node, lease_ttl=self._options.lease_ttl)
        return bool(await self._call(shard, call))

    async def withdraw(self, shard: int, node: NodeId) -> None:
        await self._execute(shard, "ZREM", self._keys[shard].alive, node)

    async def page(
        self, shard: int, group: str, limit: int, *, before: int = 0, max_bytes: int = PAGE_BYTES
    ) -> HistoryPage:
        limit = min(limit, RECOVERY_LIMIT)
        keys = self._keys[shard]
        call = calls.history(keys, group, limit=limit, before=before, max_bytes=max_bytes)
        return calls.read_page(group, await self._call(shard, call, group))

    async def marks(self, shard: int, sources: Sequence[str]) -> list[Mark | None]:
        found = await self._execute(shard, "HMGET", self._keys[shard].marks, *sources)
        return [
            calls.read_mark(source, value) for source, value in zip(sources, found, strict=True)
        ]

    async def forget_marks(self, shard: int, sources: Sequence[str]) -> None:
        await self._execute(shard, "HDEL", self._keys[shard].marks, *sources)

    async def positions(self, shard: int, groups: Sequence[str]) -> list[Position | None]:
        epoch_ttls = {group: self._options.epoch_ttl(group) for group in groups}
        call = calls.positions(self._keys[shard], epoch_ttls)
        return calls.read_positions(await self._call(shard, call))

    async def listen(self, node: NodeId, listener: Listener) -> None:
        await self._servers.listen(node, listener)

    async def heard(self, shard: int) -> None:
        await self._servers.heard(shard)

    async def aclose(self) -> None:
        await self._replicas.aclose()
        await self._servers.aclose()

    def _tell_of_history(self, script: str, room: str) -> None:
        logger.error(
            "%s failed on the history of %s: something else has changed it. It was removed; the "
            "room goes on under a new epoch, and clients are told",
            script,
            room,
        )
