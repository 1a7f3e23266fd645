"""One client's connection below the WebSocket protocol: its states, its writer, its end.

The states follow each other and never go back:

    OPENING   the opening handshake is valid; the application has not answered it
    OPEN      accepted: messages go both ways
    CLOSING   our last bytes are written or queued: a close frame, or a response that refuses
    LOST      the TCP connection is gone, and the application knows; it may know before
"""

from __future__ import annotations

import asyncio
import sys
from enum import IntEnum

from shardlayer.core.compression import Compression
from shardlayer.server.host import WebSocketHost
from shardlayer.server.inbox import Inbox
from shardlayer.server.sink import SocketSink
from shardlayer.server.transports import Address, Transport, is_plain
from shardlayer.server.wrapped_sink import TransportSink

CLOSE_TIMEOUT = 10.0  # seconds for the client to take our last bytes and answer a close frame


class ConnectionState(IntEnum):
    """See the text of the module."""

    OPENING, OPEN, CLOSING, LOST = range(4)


class Connection:
    """What a WebSocket stands on; a subclass satisfies `shardlayer.server.sink.SinkOwner`.

    Attributes:
        inbox: What the application receives.
        sink: What writes to the client; hubs get it by `scope["extensions"]["shardlayer"]`.
        state: Where in its life the connection is.
    """

    # No __dict__, and no Twisted base class that would bring one: there are many of these.
    __slots__ = (
        "_abort_timer",
        "_client",
        "_ending",
        "_lingers",
        "_path",
        "_server",
        "_told",
        "_transport",
        "inbox",
        "sink",
        "state",
    )

    def __init__(self, server: WebSocketHost) -> None:
        self._server = server
        self._abort_timer: asyncio.TimerHandle | None = None
        self._ending = False  # the TCP connection is to end once all is written
        self._lingers = False  # and the client may still be sending then
        self._told = False  # the application knows that nothing more will come
        self._client: Address | None = None
        self._path = ""
        self.state = ConnectionState.OPENING

    def __repr__(self) -> str:
        return f"<{type(self).__name__} client={self._client!r} path={self._path!r}>"

    def close(self, code: int, reason: str = "") -> None:
        """Send a close frame."""
        raise NotImplementedError

    def abort(self) -> None:
        """Cut the connection, if it is still there; the application is told as of any other end."""
        if self.state is not ConnectionState.LOST:
            self._transport.abortConnection()

    def overflowed(self) -> None:
        """Close a client that reads too slowly."""
        raise NotImplementedError

    def limit_messages(self, size: int) -> None:
        """Take no message from the client of more than `size` bytes."""
        raise NotImplementedError

    def pauseProducing(self) -> None:  # noqa: N802
        """Read nothing from the client."""
        raise NotImplementedError

    def resumeProducing(self) -> None:  # noqa: N802
        """Read on."""
        raise NotImplementedError

    def drained(self) -> None:
        """End the TCP connection if that is what was waited for."""
        if not self._ending:
            return
        self._ending = False
        self.sink.release_transport()
        if self._lingers and is_plain(self._transport):
            # A close with unread bytes would reset the connection, and with it the close frame
            # that says what was wrong. So only our half ends here, and the other when the
            # client does or the abort timer fires.
            self._transport.loseWriteConnection()
        else:
            self._transport.loseConnection()

    def _attach(
        self, transport: Transport, *, follows_http: bool, compression: Compression | None
    ) -> None:
        self._transport = transport
        self.inbox = Inbox(self)
        sink_class = SocketSink if is_plain(transport) else TransportSink
        limit = self._server.client_buffer_limit or sys.maxsize
        self.sink = sink_class(self, transport, limit, compression)
        if follows_http:
            self.sink.follow()

    def _send_last(
        self, data: bytes, *, timeout: float = CLOSE_TIMEOUT, jump: bool = False
    ) -> None:
        """Send what nothing may follow; abort if the client doesn't end within the timeout."""
        if self.state >= ConnectionState.CLOSING:
            return
        self.state = ConnectionState.CLOSING
        self.sink.send_last(data, jump=jump)
        self.inbox.release()
        loop = asyncio.get_running_loop()
        self._abort_timer = loop.call_later(timeout, self._transport.abortConnection)

    def _end(self, *, lingers: bool = False) -> None:
        """End the TCP connection when all is written."""
        self._ending = True
        self._lingers = lingers
        if self.sink.is_idle:
            self.drained()

    def _detach(self, code: int, reason: str) -> None:
        """Take leave of the connection, which is gone."""
        self.state = ConnectionState.LOST
        if self._abort_timer is not None:
            self._abort_timer.cancel()
        self.sink.detach()
        self._tell(code, reason)
        self._log("disconnected")

    def _tell(self, code: int, reason: str) -> None:
        """Tell the application that no message will come any more, if it was not told.

        That is known before the TCP connection ends, which a client can put off for a while.
        """
        self.inbox.release()
        if not self._told:
            self._told = True
            self.inbox.put({"type": "websocket.disconnect", "code": code, "reason": reason})

    def _log(self, action: str) -> None:
        if self._server.action_logger is None:
            return
        client = None if self._client is None else "{}:{}".format(*self._client)
        self._server.log_action("websocket", action, {"path": self._path, "client": client})
