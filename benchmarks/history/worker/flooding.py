"""Rooms that get more than a node can take: who publishes it, and the members who are slow."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from benchmarks.history.worker.listening import reached
from benchmarks.history.worker.publishing import SIZE
from benchmarks.stamps import read_stamp, stamped
from shardlayer import Broadcast, Mark, ShardedChannelLayer

ROOMS = [f"flood-{number}" for number in range(8)]
PORTION = 500  # publications to a room that are handed to the layer together
BACKLOG = 4 * 1024 * 1024  # bytes; less than a shard's share of the flood


class SlowSink:
    """Holds its node's event loop up with every message, and looks at their numbers.

    Attributes:
        count: Messages so far.
        missing: Numbers that did not come when they should have.
        repeated: Numbers that came late, or again.
    """

    def __init__(self, pause: float) -> None:
        self.count = 0
        self.missing = 0
        self.repeated = 0
        self._pause = pause  # seconds
        self._expected = 0

    def write(self, broadcast: Broadcast) -> None:
        time.sleep(self._pause * len(broadcast.texts))
        for text in broadcast.texts:
            stamp = read_stamp(bytearray(text), 0, len(text))
            if stamp is None:
                continue
            number, _ = stamp
            self.count += 1
            if number < self._expected:
                self.repeated += 1
            else:
                self.missing += number - self._expected
                self._expected = number + 1

    def close(self, code: int, reason: str = "") -> None:
        raise ConnectionError(f"closed with {code} {reason}")


class Flooding:
    """Rooms whose histories keep all of a flood, which is dealt out to them in turns.

    Args:
        url: Their Redis.
        lease: Seconds; see `benchmarks.layer.layers.LEASE`.
    """

    def __init__(self, url: str, lease: float) -> None:
        history = {"*": {"size": 1_000_000, "ttl": 600}}
        self._layer = ShardedChannelLayer(
            hosts=[url],
            lease_ttl=lease,
            history=history,
            max_backlog=BACKLOG,
            batch_size=PORTION,
        )
        self._sinks: list[SlowSink] = []

    async def join(self, *, pause: float) -> dict[str, Any]:
        """Become the slow members, who take `pause` seconds for a message."""
        node = await self._layer.node()
        for room in ROOMS:
            sink = SlowSink(pause)
            (await node.join(room, sink)).release()
            self._sinks.append(sink)
        return {}

    async def publish(self, *, count: int) -> dict[str, Any]:
        """Publish so many numbered messages in all, as fast as may be. Once."""
        self._layer.use_running_loop()
        share = [stamped(number, 0, SIZE) for number in range(count // len(ROOMS))]
        begun = time.monotonic()
        await asyncio.gather(*(self._fill(room, share) for room in ROOMS))
        return {"seconds": time.monotonic() - begun}

    async def _fill(self, room: str, messages: Sequence[bytes]) -> None:
        for start in range(0, len(messages), PORTION):
            portion = enumerate(messages[start : start + PORTION], start)
            await self._layer.publish_marked(
                [(room, data, Mark(room, number)) for number, data in portion]
            )

    async def came(self, *, count: int, patience: float) -> dict[str, Any]:
        """Answer what has come when `count` messages have, at most `patience` seconds later."""
        await reached(self._count, count, patience)
        return {
            "count": self._count(),
            "missing": sum(sink.missing for sink in self._sinks),
            "repeated": sum(sink.repeated for sink in self._sinks),
            "overflows": self._layer.stats()["backlog_overflows"],
        }

    def _count(self) -> int:
        return sum(sink.count for sink in self._sinks)
