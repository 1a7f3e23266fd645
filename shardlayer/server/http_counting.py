"""Counts a connection that serves HTTP, for as long as it does."""

from __future__ import annotations

from typing import Any

from shardlayer.server.host import WebSocketHost
from shardlayer.server.transports import StreamProtocol, Transport


class CountedHTTP:
    """Daphne's HTTP protocol, and word to the server when its connection ends.

    When the connection becomes a WebSocket, Daphne puts that in this one's place, and that tells.
    """

    __slots__ = ("_http", "_server")

    def __init__(self, server: WebSocketHost, http: StreamProtocol) -> None:
        self._server = server
        self._http = http

    def makeConnection(self, transport: Transport) -> None:  # noqa: N802
        """Begin."""
        self._http.makeConnection(transport)

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        """Pass on what the client sends."""
        self._http.dataReceived(data)

    def connectionLost(self, reason: Any) -> None:  # noqa: N802
        """End."""
        self._server.connection_lost()
        self._http.connectionLost(reason)
