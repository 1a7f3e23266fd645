"""Counts a connection that serves HTTP, and says when it waits for a request."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from shardlayer.core.client_addresses import AddressKey
from shardlayer.server.awaited_requests import patience
from shardlayer.server.host import WebSocketHost
from shardlayer.server.http_limits import HTTPRequest
from shardlayer.server.refusal import refuse_unread
from shardlayer.server.server_counters import counters
from shardlayer.server.transports import StreamProtocol, Transport


class CountedHTTP:
    """Daphne's HTTP protocol, and word to the server when its connection ends or is idle.

    When the connection becomes a WebSocket, Daphne puts that in this one's place, and that tells.

    Args:
        server: Where it is served.
        http: Daphne's.
        key: What it is counted under, and has been; None if that is another's.
    """

    __slots__ = (
        "_http", "_is_counted", "_is_leaving", "_key", "_requests", "_server", "_transport",
    )  # fmt: skip

    def __init__(self, server: WebSocketHost, http: StreamProtocol, key: AddressKey | None) -> None:
        self._server = server
        self._http: StreamProtocol | None = http
        self._key = key
        self._is_counted = key is not None
        self._requests = 0  # that are not answered
        self._is_leaving = False
        http.requestFactory = partial(HTTPRequest, self)

    def makeConnection(self, transport: Transport) -> None:  # noqa: N802
        """Begin."""
        self._transport = transport
        if self._http is not None:
            self._http.makeConnection(transport)

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        """Pass on what the client sends. What it asks while it leaves could not be answered."""
        if self._http is not None and not self._is_leaving:
            self._http.dataReceived(data)

    def connectionLost(self, reason: Any) -> None:  # noqa: N802
        """End."""
        self._server.connection_lost()
        http = self._http
        self.uncount()
        self.let_go()
        if http is not None:
            http.connectionLost(reason)

    # What its requests call.

    def request_began(self) -> bool:
        """Wait no more. Returns whether there is a place: a connection that waits has none."""
        self._requests += 1
        return not (self._server.waiting.end(self) and self._server.has_too_many)

    def request_ended(self) -> None:
        """Wait for the next request, if this was the last."""
        self._requests -= 1
        if not self._requests and self._http is not None:
            self._server.waiting.begin(self)

    def uncount(self) -> None:
        """Count for its address no more: it ends, or becomes a WebSocket, which counts itself."""
        if self._key is not None and self._is_counted:
            self._is_counted = False
            self._server.addresses.leave(self._key)

    def count(self) -> None:
        """Count for its address again: it became no WebSocket. Nobody took the place meanwhile.

        Again is no error, nor is it after the end: a request behind this one may have had it.
        """
        if self._http is not None and self._key is not None and not self._is_counted:
            self._is_counted = not self._server.addresses.enter(self._key)

    def linger(self) -> None:
        """Take nobody's place any more, and be cut off if the client does not close in time."""
        self._server.lingering.begin(self, time.monotonic())

    def let_go(self) -> None:
        """Forget HTTP, which knows this connection by its requests: no cycle, no garbage."""
        self._server.waiting.end(self)
        self._server.lingering.end(self)
        self._http = None

    # What AwaitedRequests calls, and Lingering.

    @property
    def patience(self) -> float:
        """Seconds that the next request may take to begin."""
        return patience(self._server.limits.http_idle_timeout)

    def give_up(self) -> None:
        """End the connection when all is sent, and if that takes as long again, at once."""
        if self._is_leaving:
            self.abort()
            return
        counters.idle_closed += 1
        self._server.waiting.begin(self)
        self._leave()

    def make_way(self) -> None:
        """Be gone when all is sent. A client that has asked, and was not read yet, is told why."""
        if self._is_leaving:
            self.abort()
            return
        refuse_unread(self._server, self._transport)
        self._leave()

    def abort(self) -> None:
        """Be gone at once."""
        self._transport.abortConnection()

    def _leave(self) -> None:
        self._is_leaving = True
        self._transport.loseConnection()
        self._transport.unregisterProducer()  # which the transport may wait for, for ever
