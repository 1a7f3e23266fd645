"""The project's WebSockets, and its counters by HTTP.

Whoever sends `X-User: 7` is user 7: nobody has to sign in, and no database is there.
"""

from __future__ import annotations

import dataclasses
import json
import os
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.realtime.limited.settings")

import django

django.setup()

from django.contrib.auth.models import User  # noqa: E402

from realtime.clients.client_counters import counters  # noqa: E402
from realtime.routing import websocket_application  # noqa: E402
from realtime.sharded_layer import sharded_layer  # noqa: E402


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Serve a WebSocket, or say what was counted."""
    if scope["type"] == "websocket":
        for name, value in scope["headers"]:
            if name == b"x-user":
                scope["user"] = User(pk=int(value))
        await websocket_application(scope, receive, send)
    elif scope["type"] == "http":
        rooms = (await sharded_layer().node()).rooms()
        body = json.dumps({**dataclasses.asdict(counters), "rooms": rooms}).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})
    else:
        raise ValueError(f"There is no {scope['type']} here.")
