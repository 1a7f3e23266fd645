"""An ASGI application for the end of a server: it writes what happens to it to a file."""

from __future__ import annotations

import asyncio
import builtins
import json
import os
import re
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from channels.generic.websocket import AsyncWebsocketConsumer, WebsocketConsumer
from django.conf import settings

from shardlayer.server.server_counters import counters

if not settings.configured:
    settings.configure()

DIARY = Path(os.environ["DIARY"])


class Last:
    """Holds up the very end of the process, when Python takes its modules apart.

    It notes that and waits for the file that is named in the environment.
    """

    def __init__(self, diary: str, released_by: str) -> None:
        # Python has let go of all else by then.
        self._diary = os.open(diary, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._released_by = released_by
        self._write, self._exists, self._sleep = os.write, os.path.exists, time.sleep

    def __del__(self) -> None:
        self._write(self._diary, b"last\n")
        while not self._exists(self._released_by):
            self._sleep(0.01)


if "LAST" in os.environ:
    # Python takes this module apart last.
    vars(builtins)["last"] = Last(os.environ["DIARY"], os.environ["LAST"])

Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]


def note(event: str) -> None:
    """Write a line to the diary."""
    with DIARY.open("a") as file:
        file.write(event + "\n")


class AsyncLeaver(AsyncWebsocketConsumer):  # type: ignore[misc]
    """One of Channels' own consumers."""

    async def disconnect(self, code: int) -> None:
        note(f"async-{code}")


class SyncLeaver(WebsocketConsumer):  # type: ignore[misc]
    """One that runs in a thread."""

    def disconnect(self, code: int) -> None:
        note(f"sync-{code}")


def farewell(seconds: float) -> bytes:
    """Return a last message."""
    return json.dumps({"back_in": seconds}).encode()


async def polite(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Accept, and have a last message for each client."""
    scope["extensions"]["shardlayer"]["sink"].take_leave_with(farewell)
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] != "websocket.disconnect":
        pass
    note(f"polite-{event['code']}")


async def unread(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Send more than anybody takes who does not read, by the sink."""
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": "x" * 20_000_000})
    while (event := await receive())["type"] != "websocket.disconnect":
        pass
    note(f"unread-{event['code']}")


async def deaf(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Accept, and go on for ever."""
    await send({"type": "websocket.accept"})
    try:
        await asyncio.Event().wait()
    finally:
        note("deaf-cancelled")


async def immortal(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Accept, and obey no cancellation."""
    await send({"type": "websocket.accept"})
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            note("immortal-cancelled")


SOCKETS: dict[str, Any] = {
    "/async": AsyncLeaver.as_asgi(),
    "/sync": SyncLeaver.as_asgi(),
    "/polite": polite,
    "/unread": unread,
    "/deaf": deaf,
    "/immortal": immortal,
}


async def answer(scope: dict[str, Any], send: Send) -> None:
    """Answer a request, some of them late, or never."""
    draining = scope["extensions"]["shardlayer"]["worker"].is_draining
    body = b"draining" if draining else b"serving"
    match scope["path"]:
        case "/slow":
            note("slow-begun")
            await asyncio.sleep(1)
            body = b"done"
        case "/large":
            body = b"x" * 20_000_000
        case "/drain":
            scope["extensions"]["shardlayer"]["worker"].drain()
        case "/endless":
            note("endless-begun")
            try:
                await asyncio.Event().wait()
            finally:
                note("endless-cancelled")
        case "/block":
            time.sleep(0.5)  # noqa: ASYNC251
        case "/warn":
            scope["extensions"]["shardlayer"]["worker"].warn_of_blocking()
        case "/blocked":
            body = str(counters.loop_blocked).encode()
        case "/regex":
            note("regex-begun")
            re.match(r"(a+)+$", "a" * 40 + "b")
        case "/hang":
            note("hang-begun")
            time.sleep(60)  # noqa: ASYNC251 - as it should not be done
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": body})


async def lifespan(receive: Receive, send: Send) -> None:
    """Note the events, and leave a task behind."""
    if os.environ.get("NO_LIFESPAN"):
        raise ValueError("no lifespan")
    while True:
        event = (await receive())["type"]
        note(event.removeprefix("lifespan."))
        await send({"type": event + ".complete"})


async def leftover() -> None:
    """What an application without a lifespan keeps running."""
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0.05)  # gives something back
        note("leftover-ended")


leftovers: list[asyncio.Task[None]] = []


async def application(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Serve what the path says."""
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
    elif scope["type"] == "http":
        if scope["path"] == "/leftover":
            leftovers.append(asyncio.create_task(leftover()))
        await answer(scope, send)
    else:
        handler = SOCKETS[scope["path"]]
        if scope["path"] in ("/async", "/sync"):
            await handler(scope, receive, send)
            return
        await receive()
        await handler(scope, receive, send)
