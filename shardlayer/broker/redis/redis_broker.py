"""Shards on Redis 7+ or Valkey 7.2+: every operation is one script, or one command.

What fails for what a key holds is no outage. A key of a wrong type is removed, with what is not
true without it, and the script is called once more; what still fails is raised as ScriptFailed.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from shardlayer.aio.tasks import Tasks
from shardlayer.aio.throttled_log import ThrottledLog
from shardlayer.broker.interface import Backend, Listener
from shardlayer.broker.redis import calls
from shardlayer.broker.redis.calls import Argument, Call
from shardlayer.broker.redis.cluster import ClusterServers
from shardlayer.broker.redis.command_link import CommandLink
from shardlayer.broker.redis.keys import (
    CHANNEL_MARK,
    layout_tag,
    outlives_flush,
    parse_group_key,
    scan_pattern,
    tag_of,
)
from shardlayer.broker.redis.mending import RefusedByServer, mend
from shardlayer.broker.redis.publish_script import publish, read_published
from shardlayer.broker.redis.redis_presence import RedisPresence
from shardlayer.broker.redis.replicas import Replicas
from shardlayer.broker.redis.servers import Servers
from shardlayer.broker.values import (
    PAGE_BYTES,
    RECOVERY_LIMIT,
    Batch,
    Census,
    JoinReply,
    JoinRequest,
    Published,
    Queued,
)
from shardlayer.core import wire
from shardlayer.core.exceptions import ScriptFailed, ShardUnavailable
from shardlayer.core.options import LayerOptions
from shardlayer.core.types import HistoryPage, Mark, NodeId, Position, RoomInfo

logger = logging.getLogger("shardlayer.broker.redis")

FLUSH_COUNT = 1_000  # keys that one SCAN of a flush looks at
WAITS_CHECKS = 12  # queue checks after which a node that did not look again waits no more
NAMED = 5  # rooms that an error names


def open_backend(options: LayerOptions, tasks: Tasks) -> RedisBackend:
    """Return a backend on the servers or the Cluster that `hosts` lists."""
    servers = ClusterServers if options.cluster else Servers
    return RedisBackend(options, servers(options, tasks))


class RedisBackend(RedisPresence, Backend):
    """Keeps the shards on Redis servers."""

    def __init__(self, options: LayerOptions, servers: Servers) -> None:
        self._options = options
        self._servers = servers
        self._replicas = Replicas(options, servers)
        self._keys = servers.keys
        self._nodes = {}
        # The pattern of a scan finds the keys of longer prefixes, too: `rt.blue` beside `rt`.
        self._tags = {layout_tag(options.prefix), *(keys.tag for keys in servers.keys)}
        self._waits = WAITS_CHECKS * options.queue_check_interval
        self._complain = ThrottledLog(logger, logging.ERROR)

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

    async def send(
        self, shard: int, channel: str, message: bytes, *, capacity: int, reader: str
    ) -> bool:
        call = calls.send(
            self._keys[shard],
            channel,
            message,
            capacity=capacity,
            expiry=self._options.expiry,
            reader=reader,
        )
        return bool(await self._call(shard, call, channel))

    async def hold(self, shard: int, channel: str, count: int, ttl: float) -> None:
        key = self._keys[shard].held(channel)
        if count and ttl > 0:
            await self._execute(shard, "SET", key, count, "PX", calls.milliseconds(ttl))
        else:
            await self._execute(shard, "DEL", key)

    async def receive(self, shard: int, channel: str, *, reader: str) -> Queued | None:
        call = calls.receive(self._keys[shard], channel, reader=reader, waits=self._waits)
        return calls.read_received(await self._call(shard, call, channel))

    async def await_messages(
        self, shard: int, channels: Sequence[str], *, reader: str
    ) -> list[str]:
        keys, waits = self._keys[shard], self._waits
        call = calls.await_messages(keys, channels, reader=reader, waits=waits)
        lengths = await self._call(shard, call)
        return [channel for channel, length in zip(channels, lengths, strict=True) if length]

    async def restore(self, shard: int, channel: str, queued: Queued) -> None:
        await self._call(shard, calls.restore(self._keys[shard], channel, queued), channel)

    async def rouse(self, shard: int, channel: str) -> None:
        await self._call(shard, calls.rouse(self._keys[shard], channel), channel)

    async def enroll(self, shard: int, group: str, channel: str, *, node: str, add: bool) -> None:
        await self._call(
            shard, calls.enroll(self._keys[shard], group, channel, node=node, add=add), group
        )

    async def attach(self, shard: int, group: str, channel: str) -> None:
        expiry = self._options.group_expiry
        call = calls.attach(self._keys[shard], group, channel, expiry=expiry)
        await self._call(shard, call, group)

    async def detach(self, shard: int, group: str, channel: str) -> None:
        await self._execute(shard, "HDEL", self._keys[shard].nodes(group), CHANNEL_MARK + channel)

    async def census(self, shard: int, group: str, question: bytes) -> Census:
        call = calls.census(self._keys[shard], group, question)
        return calls.read_census(await self._call(shard, call, group))

    async def census_answer(self, shard: int, question: bytes, node: NodeId, answer: bytes) -> None:
        await self._call(shard, calls.census_answer(self._keys[shard], question, node, answer))

    async def census_answers(self, shard: int, question: bytes) -> dict[NodeId, bytes]:
        key = self._keys[shard].census(question.decode())
        found = await self._execute(shard, "HGETALL", key)
        return {NodeId(calls.text(node)): answer for node, answer in found.items()}

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

    async def set_targeted(self, shard: int, percent: int) -> None:
        await self._execute(shard, "SET", self._keys[shard].targeted, percent)

    async def info(self, shard: int, groups: Sequence[str]) -> list[RoomInfo]:
        return await asyncio.gather(*(self._info(shard, group) for group in groups))

    async def _info(self, shard: int, group: str) -> RoomInfo:
        keys = self._keys[shard]
        found, meta, length = await asyncio.gather(
            self._execute(shard, "HGETALL", keys.nodes(group)),
            self._execute(shard, "GET", keys.meta(group)),
            self._execute(shard, "XLEN", keys.history(group)),
        )
        position = calls.read_meta(meta)
        members = {calls.text(name): value for name, value in found.items()}
        return RoomInfo(
            room=group,
            shard=shard,
            nodes={
                name: int(value)
                for name, value in members.items()
                if not name.startswith(CHANNEL_MARK) and value.isdigit()
            },
            offset=position.offset,
            epoch=position.epoch,
            history_length=length,
        )

    async def positions(self, shard: int, groups: Sequence[str]) -> list[Position | None]:
        epoch_ttls = {group: self._options.epoch_ttl(group) for group in groups}
        call = calls.positions(self._keys[shard], epoch_ttls)
        return calls.read_positions(await self._call(shard, call))

    async def prune(self, shard: int, groups: Sequence[str]) -> int:
        forgotten: int = await self._call(shard, calls.prune(self._keys[shard], groups))
        return forgotten

    async def claim_sweep(self, server: int, seconds: float) -> bool:
        address = self._address(server)
        shards = range(len(self._keys))
        shard = next((each for each in shards if self._servers.address_of(each) == address), None)
        if shard is None:  # its slots have just moved
            return False
        key, ttl = self._keys[shard].swept, calls.milliseconds(seconds)
        return bool(await self._execute(shard, "SET", key, "1", "NX", "PX", ttl))

    async def scan(self, server: int, cursor: int, count: int) -> tuple[int, list[str]]:
        pattern = scan_pattern(self._options.prefix)
        scan = ("SCAN", cursor, "MATCH", pattern, "COUNT", count)
        next_cursor, found = await self._execute_at(server, *scan)
        parsed = (parse_group_key(calls.text(key)) for key in found)
        ours = (key[1] for key in parsed if key is not None and key[0] in self._tags)
        return next_cursor, list(dict.fromkeys(ours))

    async def ping(self, server: int) -> float:
        begun = time.perf_counter()
        await self._execute_at(server, "PING")
        return time.perf_counter() - begun

    async def flush(self, mark: bytes = b"") -> None:
        await self._execute(0, "PING")  # a Cluster learns of its servers with the first command
        pattern = scan_pattern(self._options.prefix)
        for server in range(len(self.servers)):
            cursor = None
            while cursor != 0:
                scan = ("SCAN", cursor or 0, "MATCH", pattern, "COUNT", FLUSH_COUNT)
                cursor, found = await self._execute_at(server, *scan)
                # One by one: in a Cluster one command can't touch keys of several slots.
                doomed = [key for key in found if self._is_doomed(calls.text(key))]
                await asyncio.gather(*(self._execute_at(server, "UNLINK", key) for key in doomed))
        order = wire.pack_order(wire.Kind.FLUSH, "", mark)
        await asyncio.gather(
            *(
                self._execute(shard, "SPUBLISH", keys.all_nodes, order)
                for shard, keys in enumerate(self._keys)
            )
        )

    def _is_doomed(self, key: str) -> bool:
        return tag_of(key) in self._tags and not outlives_flush(key)

    async def listen(self, node: NodeId, listener: Listener) -> None:
        await self._servers.listen(node, listener)

    async def heard(self, shard: int) -> None:
        await self._servers.heard(shard)

    async def aclose(self) -> None:
        await self._replicas.aclose()
        await self._servers.aclose()

    async def _call(self, shard: int, call: Call, about: str | Batch = "") -> Any:
        """Call a script of a shard, for a group, for a channel or for the groups of a batch."""
        try:
            return await self._servers.run(shard, partial(CommandLink.call, call=call))
        except RefusedByServer as refused:
            failure = refused
        if (mending := mend(call)) is not None:
            try:
                removed = await self._servers.run(shard, partial(CommandLink.call, call=mending))
                for key in removed:
                    logger.error(
                        "%s failed on %s, which had a type that is not the layer's; it was removed",
                        call.script.name,
                        calls.text(key),
                    )
                # Once more, whoever removed it: another process that failed, too, may have.
                return await self._servers.run(shard, partial(CommandLink.call, call=call))
            except RefusedByServer as refused:
                failure = refused
        if isinstance(about, Batch):
            names = list(dict.fromkeys(item.group for item in about.items))
        else:
            names = [about] if about else []
        raise self._failed(shard, call.script.name, names, failure) from failure

    async def _execute(self, shard: int, *command: Argument) -> Any:
        try:
            return await self._servers.run(shard, lambda link: link.execute(*command))
        except RefusedByServer as refused:
            raise self._failed(shard, str(command[0]), [str(command[1])], refused) from refused

    def _failed(
        self, shard: int, name: str, names: Sequence[str], refused: Exception
    ) -> ScriptFailed:
        error = ScriptFailed(
            script=name,
            names=names[:NAMED],
            shard=shard,
            server=self._servers.address_of(shard),
            reason=str(refused),
        )
        self._complain("%s", error)
        return error

    def _tell_of_history(self, script: str, room: str) -> None:
        logger.error(
            "%s failed on the history of %s: it was not as the layer had left it. It was removed; "
            "the room goes on under a new epoch, and clients are told",
            script,
            room,
        )

    async def _execute_at(self, server: int, *command: Argument) -> Any:
        address = self._address(server)
        return await self._servers.run_at(address, lambda link: link.execute(*command))

    def _address(self, server: int) -> str:
        addresses = self._servers.addresses
        if server < len(addresses):
            return addresses[server]
        # Whoever counted them has waited since, and the Cluster has shrunk.
        raise ShardUnavailable(shard=0, server=f"server {server}", reason="it is none any more")
