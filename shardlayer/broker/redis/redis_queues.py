"""Messages of channels and members of groups, kept on Redis: a `RedisBackend`'s role `Queues`."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

from shardlayer.broker.interface import Queues
from shardlayer.broker.redis import calls
from shardlayer.broker.redis.keys import CHANNEL_MARK
from shardlayer.broker.redis.shard_calls import ShardCalls
from shardlayer.broker.values import Census, Order, Queued
from shardlayer.core import wire
from shardlayer.core.types import NodeId

WAITS_CHECKS = 12  # queue checks after which a node that did not look again waits no more


class RedisQueues(ShardCalls, Queues):
    """Keeps messages on Redis servers."""

    @property
    def _waits(self) -> float:
        """Seconds for which a node waits for a channel's next message without looking again."""
        return WAITS_CHECKS * self._options.queue_check_interval

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

    async def enroll(self, shard: int, group: str, channel: str, *, node: str, add: bool) -> bool:
        call = calls.enroll(
            self._keys[shard],
            group,
            channel,
            node=node,
            add=add,
            kept_for=self._options.group_expiry,
        )
        return bool(await self._call(shard, call, group))

    async def orders(self, shard: int, node: NodeId) -> list[Order]:
        key = self._keys[shard].orders(node)
        return calls.read_orders(await self._execute(shard, "ZRANGE", key, 0, -1, "WITHSCORES"))

    async def order_clock(self, shard: int) -> int:
        seconds, microseconds = await self._execute(shard, "TIME")
        return int(seconds) * 1_000_000 + int(microseconds)

    async def took(self, shard: int, node: NodeId, numbers: Collection[int]) -> None:
        key = self._keys[shard].orders(node)
        await asyncio.gather(
            *(self._execute(shard, "ZREMRANGEBYSCORE", key, each, each) for each in numbers)
        )

    async def echo(self, shard: int, node: NodeId, token: bytes) -> bool:
        probe = wire.pack_order(wire.Kind.PROBE, node, token)
        return bool(await self._execute(shard, "SPUBLISH", self._keys[shard].inbox(node), probe))

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
