"""Visitors, so that there is something to see: they read the rooms, and some of them talk."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException
from websockets.typing import Origin

VISITORS = 60  # over all workers
ROOMS = ("machine.cpu", "machine.memory", "machine.network", "machine.disk")
CHATS = ("chat.lobby", "chat.kitchen", "chat.garden", "chat.library", "chat.workshop")
LINES = (
    ("Ada", "Hello! All the figures here come through Kafka."),
    ("Grace", "And after a restart of the worker?"),
    ("Ada", "It goes on where it was. Nothing is missing."),
    ("Linus", "I see it on my phone as well."),
)
PAUSE = 0.5  # seconds between two messages of one who talks


@contextmanager
def visitors_in(workers: Sequence[str]) -> Iterator[None]:
    """Have visitors in the demo inside the block."""
    loop = asyncio.new_event_loop()
    tasks: list[asyncio.Task[None]] = []

    async def begin() -> None:
        for number in range(VISITORS):
            worker = workers[number % len(workers)]
            tasks.append(loop.create_task(_visit(worker, number)))

    async def end() -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(begin(), loop).result()
    try:
        yield
    finally:
        asyncio.run_coroutine_threadsafe(end(), loop).result(timeout=30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _visit(worker: str, number: int) -> None:
    """Be in some rooms; come back whenever that ends."""
    chat = CHATS[min(number % 11, len(CHATS) - 1) if number % 3 else 0]
    rooms = [*ROOMS[: 1 + number % len(ROOMS)], chat]
    query = "&".join(f"room={room}" for room in rooms)
    url = f"{worker.replace('http', 'ws', 1)}ws/?{query}"
    while True:
        with suppress(OSError, WebSocketException):
            async with connect(url, origin=Origin(worker.rstrip("/"))) as client:
                talking = asyncio.create_task(_talk(client.send, number, chat))
                try:
                    async for _ in client:
                        pass
                finally:
                    talking.cancel()
        await asyncio.sleep(1)


async def _talk(send: object, number: int, chat: str) -> None:
    say = send
    if number >= 2 * len(CHATS):
        return
    for turn in range(10_000):
        await asyncio.sleep(PAUSE * (1 + number))
        if chat == CHATS[0] and turn >= len(LINES):
            return
        name, text = LINES[turn % len(LINES)]
        if chat == CHATS[0] and number:
            return
        data = {"t": time.time(), "name": name, "text": text}
        command = {"id": turn + 1, "publish": {"room": chat, "data": data}}
        await say(json.dumps(command))  # type: ignore[operator]
