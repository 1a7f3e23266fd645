"""A process that publishes or listens: `python -m benchmarks.history.worker LAYER URL`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from typing import Any

from benchmarks.conversation import obey
from benchmarks.history.worker.flooding import Flooding
from benchmarks.history.worker.listening import Listening
from benchmarks.history.worker.publishing import Batches, by_callers, to_groups, to_rooms
from benchmarks.layer.layers import LAYERS, LEASE


class Worker:
    """Does what the benchmark says; each method is an instruction."""

    def __init__(self, name: str, url: str) -> None:
        self._layer = LAYERS[name].make(url)
        self._listening = Listening(self._layer, url)
        self._batches = Batches(self._layer, url)

    async def open(self) -> None:
        """Have a channel, as a server's loop has."""
        await self._layer.new_channel()

    async def listen(self, *, to: str, names: Sequence[str]) -> dict[str, Any]:
        """Become a member: `to` rooms, groups or channels."""
        await getattr(self._listening, to)(names)
        return {}

    async def heard(self, *, count: int, patience: float) -> dict[str, Any]:
        """Wait until `count` messages have come in all, and answer how many have."""
        await self._listening.wait(count, patience)
        return {"count": self._listening.count}

    async def last(self) -> dict[str, Any]:
        """Answer when the last message came."""
        return {"at": self._listening.last}

    async def publish(
        self, *, to: str, rooms: Sequence[str], callers: int, seconds: float
    ) -> dict[str, Any]:
        """Publish `to` rooms or groups."""
        how = {"rooms": to_rooms, "groups": to_groups}[to](self._layer)
        return await by_callers(how, rooms, callers=callers, seconds=seconds)

    async def batches(self, *, how: str, rooms: Sequence[str], seconds: float) -> dict[str, Any]:
        """Publish batches, "marked" or "plain"."""
        return await self._batches.run(how, rooms, seconds)

    async def fallbacks(self) -> dict[str, Any]:
        """Return how many publications of ours went to all nodes."""
        return {"count": self._layer.stats()["fallback"]}


async def _run(name: str, url: str) -> None:
    worker = Worker(name, url)
    await worker.open()
    names = ("listen", "heard", "last", "publish", "batches", "fallbacks")
    flooding = Flooding(url, LEASE)
    await obey(
        {
            **{instruction: getattr(worker, instruction) for instruction in names},
            "suffer": flooding.join,
            "flood": flooding.publish,
            "suffered": flooding.came,
        }
    )


if __name__ == "__main__":
    asyncio.run(_run(sys.argv[1], sys.argv[2]))
