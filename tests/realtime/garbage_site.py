"""The project's application, which says as well what its connections have left."""

from __future__ import annotations

from typing import Any

from config.asgi import application as project
from realtime import client_connected
from tests.server import application as asked

asked.OF_CONNECTIONS.update(
    {
        "realtime.clients.session.ClientSession",
        "realtime.event_streams.event_stream_sink.EventStreamSink",
    }
)


@client_connected.connect
def hear(**arguments: object) -> None:
    """Have each session tell of its client."""


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Say what there is, or do what the project does."""
    if scope["type"] == "http" and scope["path"] in ("/garbage", "/objects"):
        await asked.application(scope, receive, send)
    else:
        await project(scope, receive, send)
