"""The end of a connection that is refused before it is a WebSocket's or HTTP's."""

from __future__ import annotations

import asyncio
from typing import Any

from shardlayer.server import server_events
from shardlayer.server.connection import CLOSE_TIMEOUT
from shardlayer.server.handshake import NO_ROOM, RETRY_AFTER, plain_response
from shardlayer.server.host import WebSocketHost
from shardlayer.server.server_counters import counters
from shardlayer.server.transports import (
    Transport,
    addresses,
    drop_unread,
    is_plain,
    switch_protocol,
)


class Refusal:
    """A protocol that says why, and waits until the client is gone, but not for ever.

    A TLS session ends when both sides have said so, and a client may never say so.

    Args:
        server: Where the connection counts.
        answer: An HTTP response.
        lingers: Whether the client may still be sending. A close with unread bytes would reset the
            connection, and the answer with it; so they are read and dropped.
    """

    __slots__ = ("_answer", "_lingers", "_server", "_timer")

    def __init__(self, server: WebSocketHost, answer: bytes, *, lingers: bool) -> None:
        self._server = server
        self._answer = answer
        self._lingers = lingers

    def makeConnection(self, transport: Transport) -> None:  # noqa: N802
        """Send the answer and nothing after it."""
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(CLOSE_TIMEOUT, transport.abortConnection)
        server_events.refused_with(self._answer, addresses(transport)[0])
        transport.write(self._answer)
        if self._lingers and is_plain(transport):
            transport.loseWriteConnection()
        else:
            transport.loseConnection()

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        """Drop what the client still sends."""

    def connectionLost(self, reason: Any) -> None:  # noqa: N802
        """End."""
        self._timer.cancel()
        self._server.connection_lost()


def refuse(
    server: WebSocketHost, transport: Transport, answer: bytes, *, lingers: bool = False
) -> None:
    """Send an HTTP response and end the connection; `lingers`: see Refusal."""
    switch_protocol(transport, Refusal(server, answer, lingers=lingers))


def refuse_full(server: WebSocketHost, transport: Transport) -> None:
    """Answer that there is no room, and end the connection."""
    counters.full += 1
    refuse(server, transport, _no_room(server))


def refuse_unread(server: WebSocketHost, transport: Transport) -> bool:
    """Answer what a client has asked, and nobody has read, like `refuse_full`.

    Returns whether it has asked anything, as far as that can be told: not of TLS.
    """
    if not (is_plain(transport) and drop_unread(transport)):
        return False
    counters.full += 1
    answer = _no_room(server)
    server_events.refused_with(answer, addresses(transport)[0])
    transport.write(answer)
    transport.loseConnection()
    return True


def _no_room(server: WebSocketHost) -> bytes:
    extra = {"Retry-After": str(RETRY_AFTER)}
    return plain_response(503, NO_ROOM, server.server_name, extra)
