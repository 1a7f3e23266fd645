"""Feeds the C program the very bytes that our server sends for the same message."""

from __future__ import annotations

import asyncio
import os
import struct
from collections.abc import Sequence

from benchmarks.peers.base import PORT, ROOM
from shardlayer.core.frames import text_frame
from shardlayer.core.pushes import encode_push
from shardlayer.core.types import Publication

_length = struct.Struct("!I").pack


class SendEmitter:
    """See benchmarks.emitter.Emitter."""

    async def open(self) -> None:
        _, self._writer = await asyncio.open_connection("127.0.0.1", int(os.environ[PORT]))
        self._writer.write(b"FEED")
        self._offset = 0

    async def publish(self, messages: Sequence[bytes]) -> None:
        for message in messages:
            self._offset += 1
            publication = Publication(room=ROOM, data=message, offset=self._offset, epoch="")
            frame = text_frame(encode_push(publication))
            self._writer.write(_length(len(frame)) + frame)
        await self._writer.drain()

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()
