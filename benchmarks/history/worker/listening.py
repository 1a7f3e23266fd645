"""Members of rooms that count what they get."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

from redis.asyncio import Redis

from shardlayer import Broadcast

_POLL = 0.01  # seconds


class CountingSink:
    """A client of our layer.

    Attributes:
        count: Texts written to it.
        last: When the last was, in nanoseconds of CLOCK_MONOTONIC.
    """

    def __init__(self) -> None:
        self.count = 0
        self.last = 0

    def write(self, broadcast: Broadcast) -> None:
        self.count += len(broadcast.texts)
        self.last = time.monotonic_ns()

    def close(self, code: int, reason: str = "") -> None:
        raise ConnectionError(f"closed with {code} {reason}")


async def reached(count: Callable[[], int], wanted: int, patience: float) -> None:
    """Wait until so many have come, at most `patience` seconds."""
    deadline = time.monotonic() + patience
    while count() < wanted and time.monotonic() < deadline:  # noqa: ASYNC110 (nobody tells)
        await asyncio.sleep(_POLL)


class Listening:
    """What this process hears.

    Args:
        layer: A channel layer.
        url: Its Redis.
    """

    def __init__(self, layer: Any, url: str) -> None:
        self._layer = layer
        self._url = url
        self._sinks: list[CountingSink] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._received = 0

    @property
    def count(self) -> int:
        """Messages so far, by all members."""
        return self._received + sum(sink.count for sink in self._sinks)

    @property
    def last(self) -> int:
        """When a sink was written to last."""
        return max((sink.last for sink in self._sinks), default=0)

    async def wait(self, count: int, patience: float) -> None:
        """Wait until `count` messages have come in all, at most `patience` seconds."""
        await reached(lambda: self.count, count, patience)

    async def rooms(self, names: Sequence[str]) -> None:
        """Join rooms of our layer, one sink each."""
        node = await self._layer.node()
        for name in names:
            sink = CountingSink()
            (await node.join(name, sink)).release()
            self._sinks.append(sink)

    async def groups(self, names: Sequence[str]) -> None:
        """Add a channel to each group of any layer."""
        for name in names:
            channel = await self._layer.new_channel()
            await self._layer.group_add(name, channel)
            self._tasks.append(asyncio.create_task(self._receive(channel)))

    async def channels(self, names: Sequence[str]) -> None:
        """Subscribe to Redis's own channels, without a layer."""
        pubsub = Redis.from_url(self._url).pubsub()
        await pubsub.subscribe(*names)
        self._tasks.append(asyncio.create_task(self._hear(pubsub)))

    async def _receive(self, channel: str) -> None:
        while True:
            await self._layer.receive(channel)
            self._received += 1

    async def _hear(self, pubsub: Any) -> None:
        async for message in pubsub.listen():
            self._received += message["type"] == "message"
