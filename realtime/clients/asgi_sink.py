"""Where pushes go on servers that offer no sink of their own: stock Daphne, uvicorn, runserver."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from realtime.clients.protocol.commands import CLOSE_ABUSE, CLOSE_BINARY, CLOSE_FAILED
from realtime.clients.queued_sink import QueuedSink
from shardlayer import CLOSE_SLOW, Broadcast

# Stock Daphne's library lets an application send no standard code but 1000. What stands for these
# says the same of coming back.
OWN_CODES = {CLOSE_BINARY: CLOSE_ABUSE, CLOSE_FAILED: CLOSE_SLOW}


class AsgiSink(QueuedSink):
    """A sink over the `send` of a WebSocket.

    A message that the server refuses to send ends the connection, since what follows would not be
    sent either. One of more than `max_text` bytes, which it would refuse, is not tried: the client
    is closed with 4008, and comes back for what follows.
    """

    __slots__ = ()

    def _texts_of(self, broadcast: Broadcast) -> Sequence[bytes]:
        return broadcast.texts

    def _event_of(self, text: bytes) -> dict[str, Any]:
        return {"type": "websocket.send", "text": text.decode()}

    async def _send_close(self, code: int, reason: str) -> None:
        try:
            await self._send({"type": "websocket.close", "code": code, "reason": reason})
        except Exception:
            if code not in OWN_CODES:
                raise
            code = OWN_CODES[code]
            await self._send({"type": "websocket.close", "code": code, "reason": reason})
