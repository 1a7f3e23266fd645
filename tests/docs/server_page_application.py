"""The pieces of docs/server.md, run inside an application, by our server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from tests.docs.blocks import python_of, run_piece

_WRITING, _LIMIT, _PACE, _STOPPING, _TESTS = python_of("server.md")
_sinks: list[Any] = []


async def application(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[Any]],
    send: Callable[[Any], Awaitable[None]],
) -> None:
    """Write to a WebSocket's sink; answer a request at its client's pace."""
    names = {"scope": scope, "send": send, "part": b"a part"}
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        await run_piece(_WRITING, names)
        await run_piece(_LIMIT, names)
        _sinks.append(names["sink"])
        while (await receive())["type"] != "websocket.disconnect":
            pass
    elif scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await run_piece(_STOPPING, names | {"sink": _sinks[0]})
        await run_piece(_PACE, names)
        await send({"type": "http.response.body", "body": b""})
        exec(_TESTS, names)  # its browser is not asked
