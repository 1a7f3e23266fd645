"""Those who publish: many at once, or in batches."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from itertools import count, cycle
from typing import Any

from redis.asyncio import Redis

from benchmarks.layer.worker.messages import numbered
from benchmarks.stamps import stamped
from shardlayer import Mark

SIZE = 250  # bytes of a publication
SOURCE = "events/0"


async def by_callers(
    publish: Callable[[str], Awaitable[object]],
    rooms: Sequence[str],
    *,
    callers: int,
    seconds: float,
) -> dict[str, Any]:
    """Have `callers` tasks each publish one message after the other, room after room."""
    turns = cycle(rooms)
    published = 0
    begun, cpu = time.monotonic(), time.process_time()

    async def call() -> None:
        nonlocal published
        while time.monotonic() - begun < seconds:
            await publish(next(turns))
            published += 1

    await asyncio.gather(*(call() for _ in range(callers)))
    return {
        "published": published,
        "seconds": time.monotonic() - begun,
        "cpu_us": (time.process_time() - cpu) * 1e6,
    }


def to_rooms(layer: Any) -> Callable[[str], Awaitable[object]]:
    """Publish JSON with history."""
    data = stamped(0, 0, SIZE)

    async def publish(room: str) -> None:
        await layer.publish(room, data)

    return publish


def to_groups(layer: Any) -> Callable[[str], Awaitable[object]]:
    """Send what a consumer sends, by any layer."""
    message = numbered(0)

    async def publish(group: str) -> None:
        await layer.group_send(group, message)

    return publish


class Batches:
    """Publishes batches of a size, one after the other.

    Args:
        layer: Ours.
        url: Its Redis.
    """

    def __init__(self, layer: Any, url: str) -> None:
        self._layer = layer
        self._redis = Redis.from_url(url)
        self._offsets = count()
        self._data = stamped(0, 0, SIZE)

    async def marked(self, rooms: Sequence[str]) -> None:
        """Publish once to each of `rooms`, all of one shard, as the Kafka pool does."""
        await self._layer.publish_marked(
            [(room, self._data, Mark(SOURCE, next(self._offsets))) for room in rooms]
        )

    async def plain(self, rooms: Sequence[str]) -> None:
        """PUBLISH once to each of `rooms` in a pipeline: what is not there is missed."""
        async with self._redis.pipeline(transaction=False) as pipeline:
            for room in rooms:
                pipeline.publish(room, self._data)
            await pipeline.execute()

    async def run(self, how: str, rooms: Sequence[str], seconds: float) -> dict[str, Any]:
        """Publish batches of `rooms` for a while."""
        publish = {"marked": self.marked, "plain": self.plain}[how]
        published = 0
        begun = time.monotonic()
        while time.monotonic() - begun < seconds:
            await publish(rooms)
            published += len(rooms)
        return {"published": published, "seconds": time.monotonic() - begun}
