"""Tells a WebSocket from the rest by a connection's first bytes.

A request to upgrade goes to the lean WebSocketProtocol; everything else goes to the protocol
that Daphne's HTTP factory builds, together with the bytes that were read. In doubt it is HTTP:
what Daphne does with it is then what it always did.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

from shardlayer.server.handshake import HandshakeRefused, Opening, plain_response
from shardlayer.server.host import WebSocketHost
from shardlayer.server.http_counting import CountedHTTP
from shardlayer.server.http_limits import HTTPRequest
from shardlayer.server.server_counters import counters
from shardlayer.server.transports import StreamProtocol, Transport, switch_protocol
from shardlayer.server.websocket_protocol import WebSocketProtocol

RETRY_AFTER = 5  # seconds, in the answer to a client for which there is no room
MAX_HEAD_SIZE = 16 * 1024  # bytes; Twisted's HTTP takes no more either, and answers with 400

_METHOD = b"GET "
_END_OF_HEAD = b"\r\n\r\n"
_asks_for_websocket = re.compile(rb"\r\nupgrade:[ \t]*websocket[ \t]*\r\n", re.IGNORECASE).search

BuildProtocol = Callable[[Any], StreamProtocol]


class Sniffer:
    """The protocol of a new connection until it is known what the client wants."""

    def __init__(self, server: WebSocketHost, build_http: BuildProtocol, address: Any) -> None:
        self._server = server
        self._build_http = build_http
        self._address = address
        self._data = b""

    def makeConnection(self, transport: Transport) -> None:  # noqa: N802
        """Wait for a request's head, for as long as Daphne's HTTP would."""
        self._transport = transport
        self._server.connection_made()
        self._timer = asyncio.get_running_loop().call_later(
            self._server.http_factory.timeOut, transport.abortConnection
        )

    def connectionLost(self, reason: Any) -> None:  # noqa: N802
        """Stop waiting."""
        self._timer.cancel()
        self._server.connection_lost()

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        """Hand the connection on as soon as it is known to whom."""
        self._data = data = self._data + data if self._data else data
        end = data.find(_END_OF_HEAD) + len(_END_OF_HEAD)
        if end >= len(_END_OF_HEAD):  # as the preface of HTTP/2 has it, too
            if data.startswith(_METHOD) and _asks_for_websocket(data, 0, end):
                self._timer.cancel()
                open_websocket(self._server, self._transport, data[:end], data[end:])
            else:
                self._serve_http(data)
        elif len(data) > MAX_HEAD_SIZE:
            self._serve_http(data)

    def _serve_http(self, data: bytes) -> None:
        self._timer.cancel()
        server = self._server
        if 0 < server.capacity < server.held - server.reserve:
            refuse_full(server, self._transport)
            return
        http = self._build_http(self._address)
        http.requestFactory = HTTPRequest
        counted = CountedHTTP(server, http)
        switch_protocol(self._transport, counted)
        counted.dataReceived(data)


class UpgradeFactory:
    """Stands in for Daphne's WebSocket factory.

    Daphne's HTTP turns to that when a connection which has served requests before is to become a
    WebSocket, as a proxy with a pool of connections may ask.
    """

    def __init__(self, server: WebSocketHost) -> None:
        self._server = server

    def buildProtocol(self, address: Any) -> Upgrade:  # noqa: N802
        """Return the protocol that Daphne passes the upgrade request to."""
        return Upgrade(self._server)


class Upgrade:
    """The protocol of a connection that HTTP hands over, request and all."""

    def __init__(self, server: WebSocketHost) -> None:
        self._server = server

    def makeConnection(self, transport: Transport) -> None:  # noqa: N802
        """Take the transport from the HTTP channel, which is its producer."""
        self._transport = transport
        transport.unregisterProducer()

    def connectionLost(self, reason: Any) -> None:  # noqa: N802
        """Do nothing but count: nothing was begun."""
        self._server.connection_lost()

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        """Open a WebSocket with the request that Daphne has written out again."""
        head, _, early = data.partition(_END_OF_HEAD)
        open_websocket(self._server, self._transport, head + _END_OF_HEAD, early, follows_http=True)


def open_websocket(
    server: WebSocketHost,
    transport: Transport,
    head: bytes,
    early: bytes,
    *,
    follows_http: bool = False,
) -> None:
    """Have a WebSocketProtocol serve the connection, or refuse it.

    It is refused when the handshake is no good, or the server holds all that it may or stops.
    """
    if 0 < server.capacity < server.held:  # which counts this connection
        refuse_full(server, transport)
        return
    if server.is_draining:
        counters.refused_stopping += 1
        text = "The server is stopping."
        transport.write(plain_response(503, text, server.server_name, {"Retry-After": "1"}))
        transport.loseConnection()
        return
    try:
        opening = Opening(
            head, server.server_name, server.message_limits, follows_http=follows_http
        )
    except HandshakeRefused as refusal:
        counters.rejected += 1
        transport.write(refusal.answer)
        transport.loseConnection()
        return
    protocol = WebSocketProtocol(server, opening)
    switch_protocol(transport, protocol)
    if early:
        protocol.dataReceived(early)


def refuse_full(server: WebSocketHost, transport: Transport) -> None:
    """Answer that there is no room, and end the connection."""
    counters.full += 1
    text = "The server holds as many connections as it may. Try again later."
    extra = {"Retry-After": str(RETRY_AFTER)}
    transport.write(plain_response(503, text, server.server_name, extra))
    transport.loseConnection()
