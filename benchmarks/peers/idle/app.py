"""The smallest ASGI application that accepts WebSockets: no Django, no Channels, no group."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any


async def application(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """Accept, and wait for the end."""
    if scope["type"] != "websocket":
        raise ValueError("WebSockets only")
    await receive()
    await send({"type": "websocket.accept"})
    while (await receive())["type"] != "websocket.disconnect":
        pass
