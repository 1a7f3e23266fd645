"""Shards in this process: for tests, and for an application that runs in one process.

It keeps the same contract as the Redis backend and passes the same tests. Nodes of one process,
in any threads and event loops, share a `MemoryServer` by its name.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence

from shardlayer.aio.tasks import Tasks
from shardlayer.broker.interface import Backend, Listener
from shardlayer.broker.memory.memory_inspection import MemoryInspection
from shardlayer.broker.memory.memory_presence import MemoryPresence
from shardlayer.broker.memory.memory_queues import MemoryQueues
from shardlayer.broker.memory.store import (
    Ear,
    Group,
    KeptPublication,
    Known,
    MemoryServer,
    Shard,
    server,
)
from shardlayer.broker.values import (
    PAGE_BYTES,
    PAGE_OVERHEAD,
    RECOVERY_LIMIT,
    WRITER_TTL,
    Batch,
    JoinReply,
    JoinRequest,
    Outgoing,
    Page,
    Published,
    publication,
)
from shardlayer.core import wire
from shardlayer.core.options import LayerOptions
from shardlayer.core.types import HistoryPage, Mark, NodeId, Position


def open_backend(options: LayerOptions, tasks: Tasks) -> MemoryBackend:
    """Return a backend on this process's server of the address in `hosts`."""
    return MemoryBackend(options, server(options.hosts[0].url))


class MemoryBackend(MemoryPresence, MemoryQueues, MemoryInspection, Backend):
    """Keeps the shards in this process."""

    is_here = True

    def __init__(self, options: LayerOptions, server: MemoryServer) -> None:
        super().__init__(options, server)
        self._node: NodeId | None = None
        self._ear: Ear | None = None
        self.servers = [options.hosts[0].address]

    def server_of(self, shard: int) -> int:
        return 0

    async def publish(self, bundle: int, batch: Batch) -> Published:
        await asyncio.sleep(0)  # as a server would: who publishes on and on lets others receive
        with self._server.lock:
            state, now = self._shard(bundle), self._server.clock()
            last = state.writers.get(batch.writer)
            if last is not None and last[0] == batch.number and now < last[2]:
                return last[1]
            outboxes: dict[NodeId, list[bytes]] = {}
            positions: list[Position | None] = []
            fresh: list[Outgoing] = []
            for item in batch.items:
                if state.was_taken(item.mark):
                    positions.append(None)
                elif (known := state.published_as(item, now)) is not None:
                    positions.append(known.position)
                else:
                    positions.append(self._append(state, item, batch, now, outboxes))
                    fresh.append(item)
            for node, entries in outboxes.items():
                self._server.tell(node, bundle, wire.pack_batch(*entries, since=batch.since))
            published = Published(
                positions=positions,
                channels={
                    item.group: list(group.channels)
                    for item in batch.items
                    if (group := state.groups.get(item.group)) is not None and group.channels
                },
                targeted=sum(not state.is_for_all(item) for item in fresh),
                fallback=0,
                repeated=len(batch.items) - len(fresh),
                messages=len(outboxes),
            )
            state.writers[batch.writer] = (batch.number, published, now + WRITER_TTL)
            return published

    def _append(
        self,
        state: Shard,
        item: Outgoing,
        batch: Batch,
        now: float,
        outboxes: dict[NodeId, list[bytes]],
    ) -> Position | None:
        if item.mark is not None:
            state.marks[item.mark.source] = item.mark
        if item.for_all:
            for node in state.leases:
                outboxes.setdefault(node, []).append(wire.pack_entry(item.body))
            return None
        group = state.group(item.group, now)
        position = None
        if item.policy.keeps:
            group.begin(batch.epoch)
            group.offset += 1
            position = Position(offset=group.offset, epoch=group.epoch)
            published = round(time.time(), 1)  # as exactly as Redis keeps it
            group.history.append(KeptPublication(group.offset, item.body, published, item.mark))
            while len(group.history) > item.policy.size:
                group.history.popleft()
            if item.policy.latest:
                group.newest = group.offset, item.body
            group.history_ends = now + item.policy.ttl
            group.meta_ends = now + self._options.room_ttl(group.offset, item.policy)
        if item.idempotency_key:
            ends = now + self._options.idempotency_ttl
            state.remember(item, Known(position, ends), now)
        offset, epoch = (position.offset, position.epoch) if position else (0, "")
        entry = item.preface + wire.pack_entry(item.body, offset=offset, epoch=epoch)
        if group.nodes:
            for node in [node for node in group.nodes if state.leases.get(node, 0.0) <= now]:
                del group.nodes[node]
        for node in state.leases if state.is_for_all(item) else group.nodes:
            outboxes.setdefault(node, []).append(entry)
        return position

    async def join(self, shard: int, request: JoinRequest) -> JoinReply:
        with self._server.lock:
            state, now = self._shard(shard), self._server.clock()
            leased = self._renew(state, request.node, now)
            group = state.group(request.group, now)
            group.nodes[request.node] = request.members
            if not request.keeps:
                return JoinReply(leased=leased, position=None, recovered=False, publications=[])
            group.begin(request.epoch)
            policy = self._options.policy_of(request.group)
            group.meta_ends = now + self._options.room_ttl(group.offset, policy)
            recovered, start, missed = self._missed(group, request.since, request.page)
            return JoinReply(
                leased=leased,
                position=Position(offset=group.offset, epoch=group.epoch),
                recovered=recovered,
                publications=[
                    publication(request.group, held.offset, held.body, group.epoch)
                    for held in missed
                ],
                start=start,
                newest=publication(request.group, *group.newest, group.epoch)
                if request.latest and group.newest
                else None,
            )

    @staticmethod
    def _missed(
        group: Group, since: Position | None, page: Page
    ) -> tuple[bool, int, list[KeptPublication]]:
        if since is None:
            return False, group.offset, []
        known = since.epoch in ("", group.epoch) and since.offset <= group.offset
        if known and since.offset == group.offset:
            return True, group.offset, []
        floor = since.offset if known else 0
        missed = [held for held in group.history if held.offset > floor]
        start = missed[0].offset - 1 if missed else group.offset
        return known and start == since.offset, start, _page(missed, page)

    async def leave(self, shard: int, node: NodeId, groups: Sequence[str]) -> None:
        with self._server.lock:
            state = self._shard(shard)
            for name in groups:
                if name in state.groups:
                    state.groups[name].nodes.pop(node, None)

    async def report(self, shard: int, node: NodeId, members: Mapping[str, int]) -> None:
        with self._server.lock:
            state, now = self._shard(shard), self._server.clock()
            for name, count in members.items():
                state.group(name, now).nodes[node] = count

    async def renew(self, shard: int, node: NodeId) -> bool:
        with self._server.lock:
            return self._renew(self._shard(shard), node, self._server.clock())

    def _renew(self, state: Shard, node: NodeId, now: float) -> bool:
        leased = state.leases.get(node, 0.0) > now
        state.leases[node] = now + self._options.lease_ttl
        return leased

    async def withdraw(self, shard: int, node: NodeId) -> None:
        with self._server.lock:
            self._shard(shard).leases.pop(node, None)

    async def page(
        self, shard: int, group: str, limit: int, *, before: int = 0, max_bytes: int = PAGE_BYTES
    ) -> HistoryPage:
        with self._server.lock:
            state = self._shard(shard).group(group, self._server.clock())
            held = [entry for entry in state.history if not before or entry.offset < before]
            newest = _page(held[: -limit - 1 : -1], Page(max_bytes))
            return HistoryPage(
                Position(offset=state.offset, epoch=state.epoch),
                [
                    publication(
                        group, entry.offset, entry.body, state.epoch, (entry.time, entry.mark)
                    )
                    for entry in newest[::-1]
                ],
                len(newest) < len(held),
            )

    async def marks(self, shard: int, sources: Sequence[str]) -> list[Mark | None]:
        with self._server.lock:
            return [self._shard(shard).marks.get(source) for source in sources]

    async def forget_marks(self, shard: int, sources: Sequence[str]) -> None:
        with self._server.lock:
            for source in sources:
                self._shard(shard).marks.pop(source, None)

    async def positions(self, shard: int, groups: Sequence[str]) -> list[Position | None]:
        with self._server.lock:
            state, now = self._shard(shard), self._server.clock()
            found: list[Position | None] = []
            for name in groups:
                group = state.group(name, now)
                if group.epoch:
                    group.meta_ends = max(group.meta_ends, now + self._options.epoch_ttl(name))
                found.append(
                    Position(offset=group.offset, epoch=group.epoch) if group.epoch else None
                )
            return found

    async def listen(self, node: NodeId, listener: Listener) -> None:
        self._node = node
        loop = asyncio.get_running_loop()
        self._ear = Ear(loop, listener)
        with self._server.lock:
            self._server.listeners[node] = self._ear
        listener.resumed(range(self._options.shards))

    async def heard(self, shard: int) -> None:
        return None

    @property
    def has_unheard(self) -> bool:  # type: ignore[override]  # an attribute where it never changes
        return bool(self._ear)

    def hear(self) -> None:
        if self._ear is not None:
            self._ear.hear()

    async def aclose(self) -> None:
        with self._server.lock:
            if self._node is not None:
                self._server.listeners.pop(self._node, None)


def _page(held: Sequence[KeptPublication], page: Page) -> list[KeptPublication]:
    """Return as many of the first entries as a page may have."""
    found: list[KeptPublication] = []
    size = 0
    for entry in held[:RECOVERY_LIMIT]:
        size += len(entry.body) + PAGE_OVERHEAD
        if size > page.max_bytes and len(found) >= page.least:
            break
        found.append(entry)
    return found
