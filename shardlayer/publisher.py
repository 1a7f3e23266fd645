"""Publishes: one batcher per shard, each batch numbered and repeated until it is acknowledged.

A slow or dead shard delays no other. While a batch's fate is unknown it is sent again with the same
number, which the shard applies at most once; when the oldest publication in it has waited
`publish_timeout`, its callers get ShardUnavailable, and so do in their turn those behind it.
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from shardlayer.backends.base import Backend
from shardlayer.batcher import Batcher
from shardlayer.commands import Batch, Outgoing
from shardlayer.exceptions import ShardUnavailable
from shardlayer.options import LayerOptions
from shardlayer.types import Position
from shardlayer.wire import EPOCH_LENGTH

logger = logging.getLogger("shardlayer.publisher")

RETRY_BASE = 0.05  # seconds, doubled with each failure
RETRY_MAX = 1.0  # seconds


@dataclass(slots=True)
class PublisherStats:
    """Counts since the publisher was made.

    Attributes:
        published: Publications that were acknowledged.
        batches: Batches that were acknowledged.
        retries: Batches that were sent once more.
        failed: Publications whose callers got ShardUnavailable.
        targeted: Publications told to just the nodes that have members.
        fallback: Publications told to all nodes because the registry could not be trusted.
        messages: Pub/sub messages that it took.
        missed_messages: Group messages that normal channels missed because they were full.
    """

    published: int = 0
    batches: int = 0
    retries: int = 0
    failed: int = 0
    targeted: int = 0
    fallback: int = 0
    messages: int = 0
    missed_messages: int = 0


class Placed(NamedTuple):
    """What became of a publication.

    Attributes:
        position: Where it stands in its room; None without history.
        channels: The normal channels that are members of its group.
    """

    position: Position | None
    channels: Sequence[str]


class Publisher:
    """Publishes to all shards from one event loop."""

    def __init__(self, backend: Backend, options: LayerOptions) -> None:
        self.stats = PublisherStats()
        self._backend = backend
        self._timeout = options.publish_timeout
        self._writer = secrets.token_hex(8)
        self._numbers = [0] * options.shards
        self._batchers = [self._batcher(shard, options) for shard in range(options.shards)]

    async def publish(self, shard: int, item: Outgoing) -> Placed:
        """Publish one message.

        Raises:
            ShardUnavailable: If Redis did not acknowledge it in `publish_timeout`.
        """
        return await self._batchers[shard].put(item)

    async def publish_all(
        self, shard: int, items: Sequence[Outgoing]
    ) -> list[Placed | BaseException]:
        """Publish messages of one shard in order; return for each its place or its error."""
        return await self._batchers[shard].put_all(items)

    def pending(self, shard: int) -> int:
        """Return how many publications wait on a shard."""
        return len(self._batchers[shard])

    async def drain(self) -> None:
        """Wait until everything is acknowledged or has failed. Publish nothing meanwhile."""
        for batcher in self._batchers:
            await batcher.drain()

    async def aclose(self) -> None:
        """Stop at once; callers that still wait are cancelled."""
        for batcher in self._batchers:
            await batcher.aclose()

    def _batcher(self, shard: int, options: LayerOptions) -> Batcher[Outgoing, Placed]:
        async def send(items: list[Outgoing], since: float) -> Sequence[Placed]:
            return await self._send(shard, items, since)

        return Batcher(
            send,
            size_of=lambda item: item.size,
            max_items=options.batch_size,
            max_bytes=options.batch_bytes,
            max_pending=options.max_pending,
            name=f"publisher of shard {shard}",
        )

    async def _send(self, shard: int, items: list[Outgoing], since: float) -> Sequence[Placed]:
        self._numbers[shard] += 1
        batch = Batch(
            writer=self._writer, number=self._numbers[shard], items=items, epoch=new_epoch()
        )
        deadline = since + self._timeout
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            try:
                async with asyncio.timeout_at(max(deadline, loop.time() + RETRY_BASE)):
                    published = await self._backend.publish(shard, batch)
                break
            except (ShardUnavailable, TimeoutError) as error:
                failures += 1
                pause = min(RETRY_BASE * 2 ** min(failures, 10), RETRY_MAX)
                pause *= random.uniform(0.5, 1)  # noqa: S311 (jitter)
                if loop.time() + pause >= deadline:
                    self.stats.failed += len(items)
                    raise self._unavailable(shard, error) from error
                self.stats.retries += 1
                await asyncio.sleep(pause)
        self.stats.batches += 1
        self.stats.published += len(items)
        self.stats.messages += published.messages
        if published.targeted:
            self.stats.targeted += len(items)
        else:
            self.stats.fallback += len(items)
        return [
            Placed(position, published.channels.get(item.group, ()))
            for item, position in zip(items, published.positions, strict=True)
        ]

    def _unavailable(self, shard: int, error: Exception) -> ShardUnavailable:
        if isinstance(error, ShardUnavailable):
            return error
        server = self._backend.servers[self._backend.server_of(shard)]
        return ShardUnavailable(
            shard=shard, server=server, reason=f"no answer within {self._timeout:g} s"
        )


def new_epoch() -> str:
    """Return a name for a room's next life, should it begin with this publication."""
    return secrets.token_hex(EPOCH_LENGTH // 2)
