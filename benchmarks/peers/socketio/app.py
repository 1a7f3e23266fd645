"""An asyncio Socket.IO server whose clients are in one room, fed through Redis."""

from __future__ import annotations

import os
from typing import Any

import socketio

from benchmarks.peers.base import REDIS_URL, ROOM

_server = socketio.AsyncServer(
    async_mode="asgi", client_manager=socketio.AsyncRedisManager(os.environ[REDIS_URL])
)


@_server.event  # type: ignore[untyped-decorator]
async def connect(sid: str, environ: dict[str, Any]) -> None:
    """Put each client into the room."""
    await _server.enter_room(sid, ROOM)


application = socketio.ASGIApp(_server)
