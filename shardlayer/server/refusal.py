"""The end of a connection that is refused before it is a WebSocket's or HTTP's."""

from __future__ import annotations

import time
from typing import Any

from shardlayer.server import server_events
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

    A TLS session ends when both sides have said so, and a client may never say so. Whoever waits
    for its client lingers: it takes nobody's place, and makes way when there are too many.

    Args:
        server: Where the connection counts.
        answer: An HTTP response.
        lingers: Whether the client may still be sending. A close with unread bytes would reset the
            connection, and the answer with it; so they are read and dropped. Or it may not have
            taken what was sent before.
    """

    __slots__ = ("_answer", "_lingers", "_server", "_transport")

    def __init__(self, server: WebSocketHost, answer: bytes, *, lingers: bool) -> None:
        self._server = server
        self._answer = answer
        self._lingers = lingers

    def makeConnection(self, transport: Transport) -> None:  # noqa: N802
        """Send the answer and nothing after it."""
        self._transport = transport
        server_events.refused_with(self._answer, addresses(transport)[0])
        transport.write(self._answer)
        if not is_plain(transport):
            transport.loseConnection()
        elif self._lingers:
            transport.loseWriteConnection()
        else:  # in a moment: nothing waits before the answer
            transport.loseConnection()
            return
        self._server.lingering.begin(self, time.monotonic())

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        """Drop what the client still sends."""

    def connectionLost(self, reason: Any) -> None:  # noqa: N802
        """End."""
        self._server.lingering.end(self)
        self._server.connection_lost()

    def abort(self) -> None:
        """Be gone at once: the client has had its time, or others need it."""
        self._transport.abortConnection()


def refuse(
    server: WebSocketHost, transport: Transport, answer: bytes, *, lingers: bool = False
) -> None:
    """Send an HTTP response and end the connection; `lingers`: see Refusal."""
    switch_protocol(transport, Refusal(server, answer, lingers=lingers))


def refuse_full(server: WebSocketHost, transport: Transport, *, lingers: bool = False) -> None:
    """Answer that there is no room, and end the connection; `lingers`: see Refusal."""
    counters.full += 1
    refuse(server, transport, _no_room(server), lingers=lingers)


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
