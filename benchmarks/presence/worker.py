"""A node with people in rooms: `python -m benchmarks.presence.worker URL LEASE DELAY`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from typing import Any

from benchmarks.conversation import obey
from shardlayer import Attendee, Broadcast, ShardedChannelLayer


class DeafSink:
    """A member who is never written to here."""

    def write(self, broadcast: Broadcast) -> None:
        pass

    def close(self, code: int, reason: str = "") -> None:
        pass


class PresenceWorker:
    """Does what the benchmark says; each method is an instruction."""

    def __init__(self, url: str, lease: float, delay: float) -> None:
        self._layer = ShardedChannelLayer(hosts=[url], lease_ttl=lease, presence_delay=delay)
        self._turned: asyncio.Queue[tuple[str, bool]] = asyncio.Queue()
        self._layer.room_watchers.add(lambda room, is_in: self._turned.put_nowait((room, is_in)))

    async def open(self) -> dict[str, Any]:
        """Have a node that watches."""
        node = await self._layer.node()
        node.presence.watch()
        await self._layer.ping()
        return {}

    async def join(
        self,
        *,
        rooms: Sequence[str],
        persons: Sequence[str],
        rate: float,
        seen: bool,
        told: bool = False,
    ) -> dict[str, Any]:
        """Join each room as the person at the same place, so many a second; 0: as fast as may be.

        With `seen` it is known that the person is there; with `told` the members are told.
        """
        node, loop = await self._layer.node(), asyncio.get_running_loop()
        begun = loop.time()
        for number, (room, person) in enumerate(zip(rooms, persons, strict=True)):
            if rate:
                await asyncio.sleep(begun + number / rate - loop.time())
            (await node.join(room, DeafSink())).release()
            if seen:
                node.presence.come(Attendee(room, person, f"{number:x}", told=told))
        for room in dict.fromkeys(rooms):
            await node.presence.settled(room)
        return {"seconds": loop.time() - begun}

    async def page(self, *, room: str, limit: int) -> dict[str, Any]:
        """Ask for a page, and answer how many milliseconds that took."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        page = await self._layer.presence(room, limit=limit)
        return {
            "ms": (loop.time() - begun) * 1e3,
            "people": page.people,
            "named": len(page.persons),
        }

    async def vacated(self, *, rooms: int, patience: float) -> dict[str, Any]:
        """Wait until so many rooms were found vacated, and answer how many were."""
        found = 0
        try:
            async with asyncio.timeout(patience):
                while found < rooms:
                    _, is_in = await self._turned.get()
                    found += not is_in
        except TimeoutError:
            pass
        return {"rooms": found}


if __name__ == "__main__":
    worker = PresenceWorker(sys.argv[1], float(sys.argv[2]), float(sys.argv[3]))
    asyncio.run(
        obey(
            {
                "open": worker.open,
                "join": worker.join,
                "page": worker.page,
                "vacated": worker.vacated,
            }
        )
    )
