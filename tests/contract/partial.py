"""A bus of which only the publications work yet: its broker has one role and no other.

It is what another bus looks like while it is built. Its scheme, `partial://`, is registered when
this is imported.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from shardlayer import register_scheme
from shardlayer.aio.tasks import Tasks
from shardlayer.broker.interface import Broker, Listener
from shardlayer.broker.memory.memory_broker import MemoryBackend
from shardlayer.broker.memory.store import server
from shardlayer.broker.values import PAGE_BYTES, Batch, JoinReply, JoinRequest, Published
from shardlayer.core.options import LayerOptions
from shardlayer.core.types import HistoryPage, Mark, NodeId, Position
from tests.contract.places import Place


class PartialBroker(Broker):
    """Has the bus do what the role asks for: here, this process's memory."""

    def __init__(self, options: LayerOptions) -> None:
        self._options = options
        self._bus = MemoryBackend(options, server(options.hosts[0].url))
        self.servers = self._bus.servers

    def server_of(self, shard: int) -> int:
        return self._bus.server_of(shard)

    async def publish(self, bundle: int, batch: Batch) -> Published:
        return await self._bus.publish(bundle, batch)

    async def join(self, shard: int, request: JoinRequest) -> JoinReply:
        return await self._bus.join(shard, request)

    async def leave(self, shard: int, node: NodeId, groups: Sequence[str]) -> None:
        await self._bus.leave(shard, node, groups)

    async def positions(self, shard: int, groups: Sequence[str]) -> list[Position | None]:
        return await self._bus.positions(shard, groups)

    async def page(
        self, shard: int, group: str, limit: int, *, before: int = 0, max_bytes: int = PAGE_BYTES
    ) -> HistoryPage:
        return await self._bus.page(shard, group, limit, before=before, max_bytes=max_bytes)

    async def marks(self, shard: int, sources: Sequence[str]) -> list[Mark | None]:
        return await self._bus.marks(shard, sources)

    async def forget_marks(self, shard: int, sources: Sequence[str]) -> None:
        await self._bus.forget_marks(shard, sources)

    async def listen(self, node: NodeId, listener: Listener) -> None:
        await self._bus.listen(node, listener)

    async def heard(self, shard: int) -> None:
        await self._bus.heard(shard)

    async def aclose(self) -> None:
        await self._bus.aclose()


def open_broker(options: LayerOptions, tasks: Tasks) -> PartialBroker:
    """Return a broker on the bus of the address in `hosts`."""
    return PartialBroker(options)


register_scheme("partial", opens="tests.contract.partial:open_broker")


class PartialPlace(Place):
    """A bus inside this process; a flush is a new one."""

    def flush(self) -> None:
        self.config = {"hosts": [f"partial://{uuid4().hex}"]}


@contextmanager
def place(_directory: Path) -> Iterator[Place]:
    """The bus."""
    yield PartialPlace({})
