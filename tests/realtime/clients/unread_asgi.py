"""The project's WebSockets for user 7, and by HTTP what a test does to that user's connection."""

from __future__ import annotations

import json
import os
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.realtime.limited.settings")

import django

django.setup()

from django.contrib.auth.models import User  # noqa: E402

from realtime import apublish  # noqa: E402
from realtime.clients.client_counters import counters  # noqa: E402
from realtime.connections import adisconnect  # noqa: E402
from realtime.routing import websocket_application  # noqa: E402
from realtime.sharded_layer import sharded_layer  # noqa: E402

ITEMS, SIZE = 60, 4_000  # of the history that the client asks for; bytes of each

sinks: list[Any] = []
ended: list[Any] = []


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Serve a WebSocket, or do what the path says and tell what is so."""
    if scope["type"] == "websocket":
        sink = scope["extensions"]["shardlayer"]["sink"]
        sinks.append(sink)
        scope["user"] = User(pk=7)
        try:
            await websocket_application(scope, receive, send)
        finally:
            ended.append(sink)
        return
    if scope["path"] == "/fill":
        for _ in range(ITEMS):
            await apublish("long", "x" * SIZE)
    elif scope["path"] == "/disconnect":
        await adisconnect(User(pk=7))
    told = {
        "waiting": sinks[-1].waiting if sinks else 0,
        "ended": len(ended),
        "signed_out": counters.signed_out,
        "published": len(await sharded_layer().history("chat")),
    }
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(told).encode()})
