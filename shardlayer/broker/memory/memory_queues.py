"""Messages of channels and members of groups in this process: a `MemoryBackend`'s role `Queues`."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence

from shardlayer.broker.interface import Queues
from shardlayer.broker.memory.memory_shards import MemoryShards
from shardlayer.broker.memory.store import KeptOrders
from shardlayer.broker.values import CENSUS_TTL, Census, Order, Queued
from shardlayer.core import wire
from shardlayer.core.types import NodeId


class MemoryQueues(MemoryShards, Queues):
    """Keeps messages in this process."""

    async def send(
        self, shard: int, channel: str, message: bytes, *, capacity: int, reader: str
    ) -> bool:
        with self._server.lock:
            state, now = self._shard(shard), self._server.clock()
            queue = state.queues.setdefault(channel, deque())
            while queue and queue[0][0] <= now:
                queue.popleft()
            held, until = state.held.get(channel, (0, 0.0))
            if len(queue) + (held if until > now else 0) >= capacity:
                return False
            queue.append((now + self._options.expiry, message))
            if reader:
                self._server.tell(reader, shard, wire.pack_order(wire.Kind.WAKE_UP, channel))
            self._wake(shard, channel)
            return True

    async def hold(self, shard: int, channel: str, count: int, ttl: float) -> None:
        with self._server.lock:
            held = self._shard(shard).held
            if count:
                held[channel] = (count, self._server.clock() + ttl)
            else:
                held.pop(channel, None)

    def _wake(self, shard: int, channel: str) -> None:
        """Wake who has waited longest; who can't be told is gone."""
        order = wire.pack_order(wire.Kind.WAKE_UP, channel)
        waiting = self._shard(shard).waiting.get(channel, {})
        while waiting:
            node = next(iter(waiting))
            del waiting[node]
            if self._server.tell(node, shard, order):
                return

    async def receive(self, shard: int, channel: str, *, reader: str) -> Queued | None:
        with self._server.lock:
            state, now = self._shard(shard), self._server.clock()
            waiting = state.waiting.get(channel, {})
            queue = state.queues.get(channel, deque())
            while queue:
                expires, message = queue.popleft()
                if expires > now:
                    waiting.pop(reader, None)
                    return Queued(message, round(expires * 1_000))
            state.queues.pop(channel, None)
            if reader:
                state.waiting.setdefault(channel, waiting).setdefault(reader)
            return None

    async def await_messages(
        self, shard: int, channels: Sequence[str], *, reader: str
    ) -> list[str]:
        with self._server.lock:
            state = self._shard(shard)
            for channel in channels:
                if not state.queues.get(channel):
                    state.waiting.setdefault(channel, {}).setdefault(reader)
            return [channel for channel in channels if state.queues.get(channel)]

    async def restore(self, shard: int, channel: str, queued: Queued) -> None:
        with self._server.lock:
            state = self._shard(shard)
            queue = state.queues.setdefault(channel, deque())
            queue.appendleft((queued.expires / 1_000, queued.message))
            self._wake(shard, channel)

    async def rouse(self, shard: int, channel: str) -> None:
        with self._server.lock:
            if self._shard(shard).queues.get(channel):
                self._wake(shard, channel)

    async def enroll(self, shard: int, group: str, channel: str, *, node: str, add: bool) -> bool:
        with self._server.lock:
            state, now = self._shard(shard), self._server.clock()
            is_alive = state.leases.get(NodeId(node), 0.0) > now
            if add and is_alive:
                state.group(group, now).nodes.setdefault(NodeId(node), 1)
            kept = state.orders.setdefault(NodeId(node), KeptOrders())
            ends, number = now + self._options.group_expiry, self._server.number_order()
            number = kept.keep(group, channel, add, number=number, ends=ends)
            kind = wire.Kind.ADD if add else wire.Kind.DISCARD
            order = wire.pack_order(kind, group, channel.encode(), offset=number)
            return self._server.tell(node, shard, order) or number > 0 or not is_alive

    async def orders(self, shard: int, node: NodeId) -> list[Order]:
        with self._server.lock:
            kept = self._shard(shard).orders.get(node)
            return [] if kept is None or kept.ends <= self._server.clock() else kept.all()

    async def order_clock(self, shard: int) -> int:
        return self._server.order_clock()

    async def took(self, shard: int, node: NodeId, numbers: Collection[int]) -> None:
        with self._server.lock:
            orders = self._shard(shard).orders
            if node in orders and not orders[node].took(numbers):
                del orders[node]

    async def echo(self, shard: int, node: NodeId, token: bytes) -> bool:
        with self._server.lock:
            return self._server.tell(node, shard, wire.pack_order(wire.Kind.PROBE, node, token))

    async def attach(self, shard: int, group: str, channel: str) -> None:
        with self._server.lock:
            now = self._server.clock()
            ends = now + self._options.group_expiry
            self._shard(shard).group(group, now).channels[channel] = ends

    async def detach(self, shard: int, group: str, channel: str) -> None:
        with self._server.lock:
            now = self._server.clock()
            self._shard(shard).group(group, now).channels.pop(channel, None)

    async def census(self, shard: int, group: str, question: bytes) -> Census:
        with self._server.lock:
            state, now = self._shard(shard), self._server.clock()
            known = state.group(group, now)
            state.answers[question] = (now + CENSUS_TTL, {})
            order = wire.pack_order(wire.Kind.CENSUS, group, question)
            alive = [node for node in known.nodes if state.leases.get(node, 0.0) > now]
            asked = [node for node in alive if self._server.tell(node, shard, order)]
            return Census(asked, list(known.channels))

    async def census_answer(self, shard: int, question: bytes, node: NodeId, answer: bytes) -> None:
        with self._server.lock:
            ends = self._server.clock() + CENSUS_TTL
            self._shard(shard).answers.setdefault(question, (ends, {}))[1][node] = answer

    async def census_answers(self, shard: int, question: bytes) -> dict[NodeId, bytes]:
        with self._server.lock:
            _, answers = self._shard(shard).answers.get(question, (0.0, {}))
            return dict(answers)
