"""Daphne's HTTP request, with limits on what a client may send and on who is believed.

Twisted reads a request's body to its end, into a file in /tmp where it is large, before anybody
sees the request; here it has a limit in bytes and one in time.

Daphne sends the head of a response with its first part. So an application that fails after the
first can still be answered for: its head is taken back. That is noted in a private attribute of
Daphne's request, `_response_started`, read in 4.2.3.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from typing import Any, Protocol

from daphne.http_protocol import WebRequest
from twisted.web.http_headers import Headers

from shardlayer.aio.error_log import ErrorLog
from shardlayer.server import server_events
from shardlayer.server.handshake import NO_ROOM, RETRY_AFTER, plain_response
from shardlayer.server.http_channel import let_go
from shardlayer.server.proxy import ROOT_PATH, proxy_headers, root_path_of, trusts_proxy
from shardlayer.server.response_pace import ResponsePace
from shardlayer.server.server_counters import counters
from shardlayer.server.transports import Transport, addresses, is_plain, protocol_of

log_failure = ErrorLog(logging.getLogger(__name__))

HTTP_MAX_BODY_SIZE = 100 * 1024 * 1024  # bytes
HTTP_REQUEST_TIMEOUT = 300  # seconds from a request's first line to the end of its body


class HTTPConnection(Protocol):
    """Where requests come from, as they see it: `http_counting.CountedHTTP`."""

    def request_began(self) -> bool: ...
    def request_ended(self) -> None: ...
    def count(self) -> None: ...
    def uncount(self) -> None: ...
    def linger(self) -> None: ...
    def let_go(self) -> None: ...


class HTTPRequest(WebRequest):  # type: ignore[misc]
    """A request, from its first line on. The names are Twisted's and Daphne's."""

    def __init__(self, connection: HTTPConnection, channel: Any, *args: Any) -> None:
        super().__init__(channel, *args)
        self._connection = connection
        self._pace: ResponsePace | None = None
        self._has_place = connection.request_began()
        channel.totalHeadersSize = self.server.limits.http_head_size or sys.maxsize
        self._content_types: list[bytes] = []
        self._has_head = False
        self._began = time.monotonic()
        self._body_size = 0
        self._arrived = False
        self._refused = False
        self._aborted = False

    def __repr__(self) -> str:
        """Return what a line of the log may say: Twisted's has the query, where tokens may be."""
        method, path = self.method.decode("latin-1"), self.uri.partition(b"?")[0].decode("latin-1")
        return f"<{type(self).__name__} client={self.client_addr!r} {method=} {path=}>"

    def gotLength(self, length: int | None) -> None:  # noqa: N802
        """Refuse a body that says that it is too large."""
        super().gotLength(length)
        self._has_head = True
        if length is not None and not self._refused:
            self._check_size(length)

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802
        """Keep a part of the body, unless it is too large by now."""
        if self._refused:
            return
        self._body_size += len(data)
        if self._check_size(self._body_size):
            super().handleContentChunk(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:  # noqa: N802
        """Serve the request, which is complete."""
        self._arrived = True
        if self._refused:
            return
        # Twisted would parse a form, whole and in this thread, for itself alone: a body of 100 MiB
        # takes gigabytes then. It is not told what the body is.
        self._content_types = self.requestHeaders.getRawHeaders(b"content-type") or []
        self.requestHeaders.removeHeader(b"content-type")
        super().requestReceived(command, path, version)

    def process(self) -> None:
        """Look at the headers that only a proxy may send, then let Daphne serve the request."""
        if self.server.is_draining or not self._has_place:
            self.channel.persistent = False  # whoever asks again is to do so elsewhere
            self.setHeader(b"connection", b"close")
        if not self._has_place:
            counters.full += 1
            transport: Transport = self.transport
            server_events.refused(503, NO_ROOM, addresses(transport)[0])
            self.setHeader(b"retry-after", str(RETRY_AFTER).encode())
            self.basic_error(503, b"Service Unavailable", NO_ROOM)
            return
        headers = self.requestHeaders
        if self._content_types:
            headers.setRawHeaders(b"content-type", self._content_types)
        if len(headers.getRawHeaders(b"host", ())) > 1:  # RFC 9112, 3.2
            self.basic_error(400, b"Bad Request", "Several Host headers")
            return
        if not trusts_proxy(self.server):
            headers.removeHeader(ROOT_PATH)
        for value in headers.getRawHeaders(ROOT_PATH, ()):
            try:
                root_path_of(value)
            except ValueError:
                self.basic_error(400, b"Bad Request", "Invalid root path")
                return
        names = proxy_headers(self.server)
        if not all(_is_text(line) for name in names for line in headers.getRawHeaders(name, ())):
            for name in names:  # the proxy said nothing that could be believed
                headers.removeHeader(name)
        channel = self.channel
        asks_for_websocket = (headers.getRawHeaders(b"upgrade") or [b""])[0].lower() == b"websocket"
        if asks_for_websocket:
            self._connection.uncount()
        super().process()
        if self.transport is None:
            # The connection is a WebSocket's by now. Nobody will tell the channel that it ended,
            # so it lets go of the request, which knows it.
            channel.requests.remove(self)
            self._connection.let_go()
            # In the same read: frames that the client sent before it had its answer.
            if rest := channel.clearLineBuffer():
                protocol_of(channel.transport).dataReceived(rest)
        elif asks_for_websocket:  # which Daphne has refused, and it may keep the connection
            self._connection.count()

    def pace(self) -> ResponsePace:
        """Return what tells how fast the client reads the response, which has to begin and end."""
        if self._pace is None:
            self._pace = ResponsePace(self)
        return self._pace

    def abort(self) -> None:
        """End in the middle of the answer, whatever of it waits for the client."""
        self._aborted = True
        self.transport.abortConnection()  # which tells, soon

    def finish(self) -> None:
        """End the answer."""
        if self._pace is not None:
            self._pace.end()
        super().finish()
        self._connection.request_ended()

    def application_ended(self, task: asyncio.Future[Any]) -> None:
        """End the response if the application has not."""
        if not self._is_over and not task.cancelled() and task.exception() is None:
            log_failure("The application returned without ending its response: %r", self)
        self._end_for_the_application()

    def handle_exception(self, exception: BaseException) -> None:
        """Do the same: Daphne, which logs the error, calls this up to a second later."""
        self._end_for_the_application()

    def check_timeouts(self) -> None:
        """Refuse a request that takes too long to arrive; Daphne calls this every two seconds."""
        # Daphne asks as long as the application runs, and up to a second after the client has left.
        # To answer then, or twice, is an error.
        if self._is_over:
            return
        if not self._arrived:
            self._check_arrival(time.monotonic() - self._began)
        limit = self.server.http_timeout or 0
        if 0 < limit < self.duration():
            log_failure("The application took more than %g s for a response: %r", limit, self)
            counters.answers_timed_out += 1
            if self._take_back():
                super().check_timeouts()
            else:
                self.abort()  # Daphne ends it as if it were complete

    def connectionLost(self, reason: Any) -> None:  # noqa: N802
        """Tell the application that the client is gone."""
        if self.channel is not None:
            let_go(self.channel)
        if self._pace is not None:
            self._pace.end()
        super().connectionLost(reason)

    @property
    def _is_over(self) -> bool:
        """Whether the response has ended, or the client is gone, or will be in a moment."""
        return bool(self.finished) or self._refused or self._aborted or self.channel is None

    def _end_for_the_application(self) -> None:
        """Answer that it failed; within a response only the end of the connection says that."""
        if self._is_over:
            return
        if self._take_back():
            self.basic_error(500, b"Internal Server Error", "Exception inside application.")
        else:
            self.abort()

    def _take_back(self) -> bool:
        """Take back a response of which nothing was sent; False if something was."""
        if self.startedWriting:
            return False
        self._response_started = False
        self.responseHeaders = Headers()
        if not self.channel.persistent:
            self.setHeader(b"connection", b"close")
        return True

    def _check_arrival(self, taken: float) -> None:
        if not self._has_head and 0 < self.server.limits.http_head_timeout < taken:
            counters.heads_timed_out += 1
        elif 0 < self.server.http_request_timeout < taken:
            counters.requests_timed_out += 1
        else:
            return
        self._refuse(408, "The request did not arrive in time.")

    def _check_size(self, size: int) -> bool:
        limit = self.server.http_max_body_size
        if not 0 < limit < size:
            return True
        counters.bodies_too_large += 1
        self._refuse(413, f"The body of a request has at most {limit} bytes.")
        return False

    def _refuse(self, status: int, text: str) -> None:
        """Answer in the middle of the request, and end the connection."""
        self._refused = True
        server_events.refused(status, text, addresses(self.channel)[0])
        if self.content is not None:
            self.content.truncate(0)
        self.requestHeaders.removeHeader(b"expect")  # which would be answered with "go on"
        transport: Transport = self.transport
        transport.unregisterProducer()
        transport.write(plain_response(status, text, self.server.server_name))
        if is_plain(transport):
            # A close with unread bytes would reset the connection, and the answer with it. So the
            # client may send what it wants to, which is dropped, while it lingers.
            transport.loseWriteConnection()
        else:
            transport.loseConnection()
        self._connection.linger()


def _is_text(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True
