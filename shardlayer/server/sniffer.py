"""Tells a WebSocket from the rest by a connection's first bytes.

A request to upgrade goes to the lean WebSocketProtocol; everything else goes to the protocol
that Daphne's HTTP factory builds, together with the bytes that were read. In doubt it is HTTP:
what Daphne does with it is then what it always did.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from shardlayer.core.client_addresses import address_key
from shardlayer.server.address_limits import RETRY, TOO_MANY_REQUESTS
from shardlayer.server.awaited_requests import patience
from shardlayer.server.handshake import (
    NO_HEADERS,
    HandshakeRefused,
    Opening,
    plain_response,
)
from shardlayer.server.host import WebSocketHost
from shardlayer.server.http_counting import CountedHTTP
from shardlayer.server.proxy import trusts_proxy
from shardlayer.server.refusal import refuse, refuse_full, refuse_unread
from shardlayer.server.server_counters import counters
from shardlayer.server.transports import (
    StreamProtocol,
    Transport,
    host_of,
    switch_protocol,
)
from shardlayer.server.websocket_protocol import WebSocketProtocol

AFTER_STOP = {"Retry-After": "1"}  # seconds: another worker has room

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
        """Wait for a request's head."""
        self._transport = transport
        self._server.connection_made()
        self._server.waiting.begin(self)

    def connectionLost(self, reason: Any) -> None:  # noqa: N802
        """Stop waiting."""
        self._server.waiting.end(self)
        self._server.connection_lost()

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        """Hand the connection on as soon as it is known to whom."""
        self._data = data = self._data + data if self._data else data
        end = data.find(_END_OF_HEAD) + len(_END_OF_HEAD)
        is_complete = end >= len(_END_OF_HEAD)  # as the preface of HTTP/2 has it, too
        limit = self._server.limits.http_head_size
        if 0 < limit < (end if is_complete else len(data)):
            self._server.waiting.end(self)
            counters.heads_too_large += 1
            self._refuse(431, f"The head of a request has at most {limit} bytes.")
        elif is_complete:
            self._server.waiting.end(self)
            if data.startswith(_METHOD) and _asks_for_websocket(data, 0, end):
                open_websocket(self._server, self._transport, data[:end], data[end:])
            else:
                self._serve_http(data)

    # What AwaitedRequests calls.

    @property
    def patience(self) -> float:
        """Seconds that the head may take."""
        return patience(self._server.limits.http_head_timeout)

    def give_up(self) -> None:
        """Refuse a request that does not arrive, and drop a client that has sent nothing."""
        counters.heads_timed_out += 1
        if self._data:
            self._refuse(408, "The request did not arrive in time.")
        else:
            self._transport.abortConnection()

    def make_way(self) -> None:
        """Be gone. A client that has asked meanwhile, and was not read yet, is told why."""
        if not refuse_unread(self._server, self._transport):
            self.abort()

    def abort(self) -> None:
        """Be gone at once."""
        self._transport.abortConnection()

    def _refuse(self, status: int, text: str, extra: Mapping[str, str] = NO_HEADERS) -> None:
        self._data = b""
        answer = plain_response(status, text, self._server.server_name, extra)
        refuse(self._server, self._transport, answer, lingers=True)

    def _serve_http(self, data: bytes) -> None:
        server = self._server
        if server.has_too_many:
            refuse_full(server, self._transport)
            return
        # A proxy's connections are its own, whoever is behind it.
        key = None if trusts_proxy(server) else address_key(host_of(self._transport))
        refusal = "" if key is None else server.addresses.enter(key)
        if refusal:
            self._refuse(TOO_MANY_REQUESTS, refusal, RETRY)
            return
        counted = CountedHTTP(server, self._build_http(self._address), key)
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
    if 0 < server.capacity < server.busy:  # which counts this connection
        refuse_full(server, transport, lingers=follows_http)
        return
    if server.is_draining:
        counters.refused_stopping += 1
        text = "The server is stopping."
        answer = plain_response(503, text, server.server_name, AFTER_STOP)
        refuse(server, transport, answer, lingers=follows_http)
        return
    try:
        opening = Opening(
            head,
            server.server_name,
            server.message_limits,
            follows_http=follows_http,
            compresses=server.compression is not None,
        )
    except HandshakeRefused as refusal:
        counters.rejected += 1
        refuse(server, transport, refusal.answer, lingers=follows_http)
        return
    protocol = WebSocketProtocol(server, opening)
    switch_protocol(transport, protocol)
    if early:
        protocol.dataReceived(early)
