"""A node with many rooms loses its connections: `python -m benchmarks.scale.resuming_node URL`."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

from benchmarks.conversation import obey
from benchmarks.scale.emitters import room
from shardlayer import Broadcast, ShardedChannelLayer
from shardlayer.aio.garbage import GC_THRESHOLD, spare_collections

_JOINED_AT_ONCE = 500


class CountingSink:
    """Counts the messages of all rooms."""

    def __init__(self) -> None:
        self.count = 0
        self._goal = 0
        self._is_reached = asyncio.Event()

    def write(self, broadcast: Broadcast) -> None:
        self.count += len(broadcast.texts)
        if self._goal and self.count >= self._goal:
            self._is_reached.set()

    async def reached(self, goal: int) -> None:
        """Wait until there were so many."""
        self._goal = goal
        self._is_reached.clear()
        if self.count < goal:
            await self._is_reached.wait()

    def close(self, code: int, reason: str = "") -> None:
        pass


class Turns:
    """How long the turns of an event loop take, in CPU time: others have the CPU as well."""

    def __init__(self) -> None:
        self._is_on = False

    def start(self) -> None:
        """Look from now on, in each turn."""
        self._is_on = True
        self.count = 0
        self.cpu: list[float] = []  # milliseconds of the turns that took one at least
        self._cpu = time.thread_time()
        self._loop = asyncio.get_running_loop()
        self._loop.call_soon(self._turn)

    def stop(self) -> None:
        """Look no more."""
        self._is_on = False

    def _turn(self) -> None:
        cpu = time.thread_time()
        self.count += 1
        if (took := (cpu - self._cpu) * 1e3) >= 1:
            self.cpu.append(took)
        self._cpu = cpu
        if self._is_on:
            self._loop.call_soon(self._turn)


class ResumingNode:
    """Does what the benchmark says; each method is an instruction."""

    def __init__(self, url: str) -> None:
        self._layer = ShardedChannelLayer(hosts=[url])
        self._sink = CountingSink()
        self._turns = Turns()

    async def join(self, *, rooms: int) -> dict[str, Any]:
        """Be in so many rooms."""
        node = await self._layer.node()
        for start in range(0, rooms, _JOINED_AT_ONCE):
            names = [room(number) for number in range(start, min(start + _JOINED_AT_ONCE, rooms))]
            for joined in await asyncio.gather(*(node.join(name, self._sink) for name in names)):
                joined.release()
        return {}

    async def watch(self) -> dict[str, Any]:
        """Count from now on."""
        self._sink.count = 0
        self._turns.start()
        return {}

    async def resumed(self, *, count: int, patience: float) -> dict[str, Any]:
        """Wait until so many messages came, and tell how long turns took meanwhile."""
        try:
            async with asyncio.timeout(patience):
                await self._sink.reached(count)
        except TimeoutError:
            pass
        self._turns.stop()
        cpu = sorted(self._turns.cpu) or [0.0]
        return {
            "count": self._sink.count,
            "longest_ms": cpu[-1],
            "p99_ms": cpu[len(cpu) * 99 // 100],
            "turns": self._turns.count,
        }


if __name__ == "__main__":
    node = ResumingNode(sys.argv[1])
    with spare_collections(GC_THRESHOLD):  # as a worker has it
        asyncio.run(obey({"join": node.join, "watch": node.watch, "resumed": node.resumed}))
