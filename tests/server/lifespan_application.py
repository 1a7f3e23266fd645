"""An ASGI application that writes its lifespan to a file, or refuses to start."""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any


def note(diary: Path, event: str) -> None:
    with diary.open("a") as file:
        file.write(event + "\n")


async def application(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """Take part in the lifespan, and show each client what the scope has of its state."""
    if scope["type"] != "lifespan":
        await show_state(scope, receive, send)
        return
    scope["state"]["shared"] = []
    diary = Path(os.environ["DIARY"])
    while True:
        message = await receive()
        note(diary, message["type"])
        if os.environ.get("REFUSE"):
            await send({"type": "lifespan.startup.failed", "message": "no fuel"})
            return
        await send({"type": message["type"] + ".complete"})


async def show_state(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """Note the client in what is shared and in what is its own, and send both."""
    state = scope["state"]
    state["shared"].append(scope["type"])
    state[scope["type"]] = True
    text = json.dumps(state)
    await receive()
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": text.encode()})
    else:
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": text})
        await receive()
