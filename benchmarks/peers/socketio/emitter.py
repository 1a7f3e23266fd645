"""Publishes as python-socketio's documentation has other processes do: a write-only manager."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence

import socketio

from benchmarks.peers.base import REDIS_URL, ROOM


class SocketIoEmitter:
    """See benchmarks.emitter.Emitter."""

    async def open(self) -> None:
        self._manager = socketio.AsyncRedisManager(os.environ[REDIS_URL], write_only=True)

    async def publish(self, messages: Sequence[bytes]) -> None:
        for message in messages:
            await self._manager.emit("message", json.loads(message), room=ROOM)

    async def close(self) -> None:
        await self._manager.redis.aclose()
