"""Streams of events alone, and by HTTP what a test does to them and asks about them.

Whoever sends `X-User: 7` is user 7: nobody has to sign in, and no database is there.
"""

from __future__ import annotations

import dataclasses
import json
import os
from typing import Any
from urllib.parse import parse_qsl

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.realtime.limited.settings")

import django

django.setup()

from django.contrib.auth.models import User  # noqa: E402

from realtime import adisconnect, apublish  # noqa: E402
from realtime.clients.client_counters import counters  # noqa: E402
from realtime.event_streams.event_stream_gate import EventStreamGate  # noqa: E402
from realtime.sharded_layer import sharded_layer  # noqa: E402


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Serve a stream, or do what the path says and answer what was counted."""
    if scope["type"] != "http":
        raise ValueError(f"There is no {scope['type']} here.")
    for name, value in scope["headers"]:
        if name == b"x-user":
            scope["user"] = User(pk=int(value))
    await _gate(scope, receive, send)


async def _answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
    query = dict(parse_qsl(scope["query_string"].decode()))
    if scope["path"] == "/publish":
        for _ in range(int(query["times"])):
            await apublish(query["room"], "x" * int(query["size"]))
    elif scope["path"] == "/disconnect":
        await adisconnect(User(pk=int(query["user"])))
    node = await sharded_layer().node()
    state = {**dataclasses.asdict(counters), "members": node.members(query["room"])}
    body = json.dumps(state).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


_gate = EventStreamGate(_answer)
