"""A view and a browser in one process: `python -m benchmarks.outbox.shop URL`.

It commits transactions that publish by the outbox, and has a WebSocket to the worker. So both times
are of one clock.
"""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import suppress
from typing import Any

import django
import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Origin

from benchmarks.conversation import obey

ROOM = "orders"
PATIENCE = 30.0  # seconds for what is on its way


class Shop:
    """Does what the benchmark says; each method is an instruction."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._arrived: dict[int, list[float]] = {}
        self._socket: ClientConnection | None = None
        self._hearing: asyncio.Task[None] | None = None
        self._news = asyncio.Event()

    async def open(self) -> dict[str, Any]:
        """Open the page: it is in the room when this returns."""
        origin = Origin(self._url.replace("ws://", "http://").partition("/ws/")[0])
        self._socket = await connect(f"{self._url}?room={ROOM}", origin=origin)
        await self._socket.recv()
        self._hearing = asyncio.create_task(self._hear(self._socket))
        return {}

    async def _hear(self, socket: ClientConnection) -> None:
        async for text in socket:
            now = time.perf_counter()
            push = orjson.loads(text)
            if "data" in push:
                self._arrived.setdefault(push["data"], []).append(now)
                self._news.set()

    async def commit(self, *, first: int, count: int, rate: float) -> dict[str, Any]:
        """Commit so many transactions, so many a second.

        Returns for each that arrived the milliseconds from the return of its commit.
        """
        commits = {}
        begun = time.perf_counter()
        for number in range(count):
            await asyncio.sleep(begun + number / rate - time.perf_counter())
            commits[first + number] = await asyncio.to_thread(_commit, first + number)
        with suppress(TimeoutError):  # what is missing then is counted as lost
            async with asyncio.timeout(PATIENCE):
                while not commits.keys() <= self._arrived.keys():
                    self._news.clear()
                    await self._news.wait()
        return {
            "delays": [
                (self._arrived[number][0] - at) * 1e3
                for number, at in commits.items()
                if number in self._arrived
            ],
            "repeated": sum(len(self._arrived.get(number, ())) > 1 for number in commits),
        }


def _commit(number: int) -> float:
    """Commit one transaction; return when that was done."""
    from django.db import transaction

    from realtime import publish_on_commit

    with transaction.atomic():
        publish_on_commit(ROOM, number, outbox=True)
    return time.perf_counter()


async def main() -> None:
    """Obey."""
    shop = Shop(sys.argv[1])
    await obey({"open": shop.open, "commit": shop.commit})


if __name__ == "__main__":
    django.setup()
    asyncio.run(main())
