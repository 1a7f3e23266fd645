"""Where pushes go on servers that offer no sink of their own: stock Daphne, uvicorn, runserver.

The hub writes synchronously; ASGI's `send` has to be awaited. Between them stand a queue, bounded
in bytes, and one task for each connection that empties it in order.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from realtime.protocol.commands import CLOSE_ABUSE, CLOSE_SLOW
from shardlayer import Broadcast

logger = logging.getLogger(__name__)

Send = Callable[[dict[str, Any]], Awaitable[None]]

FIRST_OWN_CODE = 3000  # close codes from here on are for applications (RFC 6455, 7.4.2)
FLUSH_TIMEOUT = 5.0  # seconds that an ending connection gets for what is queued


class AsgiSink:
    """A sink (`shardlayer.Sink`) over ASGI's `send`; for one event loop, made inside it.

    A client that leaves more than `limit` bytes unread is closed with 4008 and its queue is
    dropped: it can resume from its offset. What is written while nothing waits is not held against
    it, whatever its size: a client that resumes may be told more at once than the limit.

    How much a server takes before its `send` waits is the server's affair: uvicorn takes 64 KiB,
    stock Daphne never waits.

    Everything that is sent to the client after `accept` has to go through the sink, so that it
    arrives in order. The owner must await `finish()`.
    """

    __slots__ = ("_close", "_limit", "_pending", "_send", "_spared", "_task", "_texts", "_wake")

    def __init__(self, send: Send, *, limit: int) -> None:
        self._send = send
        self._limit = limit  # bytes
        self._texts: deque[bytes] = deque()
        self._pending = 0  # bytes in _texts
        self._spared = 0  # of these, bytes that are not held against the client
        self._close: tuple[int, str] | None = None
        self._wake = asyncio.Event()
        self._task = asyncio.create_task(self._drain(), name="realtime: drain a sink")

    def write(self, broadcast: Broadcast) -> None:
        """Queue the broadcast; close a client that is too far behind."""
        if self._close is not None:
            return
        size = sum(map(len, broadcast.texts))
        if not self._pending:
            self._spared = size
        self._pending += size
        self._texts.extend(broadcast.texts)
        if self._pending - self._spared > self._limit:
            self._texts.clear()
            self.close(CLOSE_SLOW, "slow consumer")
        self._wake.set()

    def close(self, code: int, reason: str = "") -> None:
        """Close the connection once what is queued is sent; nothing is queued from here on."""
        if self._close is None:
            self._close = (code, reason)
            self._wake.set()

    async def finish(self) -> None:
        """End the task. A close that was asked for gets a few seconds to be sent."""
        if self._close is not None:
            await asyncio.wait([self._task], timeout=FLUSH_TIMEOUT)
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _drain(self) -> None:
        try:
            while True:
                while self._texts:
                    text = self._texts.popleft()
                    await self._send({"type": "websocket.send", "text": text.decode()})
                    self._pending -= len(text)
                    self._spared = min(self._spared, self._pending)
                if self._close is not None:
                    await self._send_close(*self._close)
                    return
                self._wake.clear()
                await self._wake.wait()
        except Exception as error:  # each server has its own way to say that the client is gone
            logger.debug("A client went away while it was written to: %r", error)
            self._texts.clear()
            self._close = self._close or (1006, "")

    async def _send_close(self, code: int, reason: str) -> None:
        try:
            await self._send({"type": "websocket.close", "code": code, "reason": reason})
        except Exception:
            if code >= FIRST_OWN_CODE:
                raise
            # Stock Daphne's library lets an application send no standard code but 1000, which
            # would invite the client back.
            await self._send({"type": "websocket.close", "code": CLOSE_ABUSE, "reason": reason})
