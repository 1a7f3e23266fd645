"""The pieces of docs/server.md, run inside an application, by our server."""

from __future__ import annotations

import ast
from collections.abc import Awaitable, Callable
from typing import Any

from tests.docs.blocks import all_blocks

_WRITING, _LIMIT, _PACE, _STOPPING, _TESTS = (
    block for block in all_blocks() if (block.page, block.language) == ("server.md", "python")
)
_sinks: list[Any] = []


async def _run(code: str, names: dict[str, Any]) -> None:
    compiled = compile(code, "server.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    if (awaited := eval(compiled, names)) is not None:
        await awaited


async def application(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[Any]],
    send: Callable[[Any], Awaitable[None]],
) -> None:
    """Write to a WebSocket's sink; answer a request at its client's pace."""
    names = {"scope": scope, "send": send, "part": b"a part"}
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        await _run(_WRITING.code, names)
        await _run(_LIMIT.code, names)
        _sinks.append(names["sink"])
        while (await receive())["type"] != "websocket.disconnect":
            pass
    elif scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await _run(_STOPPING.code, names | {"sink": _sinks[0]})
        await _run(_PACE.code, names)
        await send({"type": "http.response.body", "body": b""})
        exec(_TESTS.code, names)  # its browser is not asked
