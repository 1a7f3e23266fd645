"""The WebSocket protocol: between a Twisted transport and an ASGI application.

Frames are read and built by websockets' Sans-I/O protocol. The application runs in a task of the
server's, which also sees to the limits in time.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from websockets.exceptions import ProtocolError
from websockets.frames import Close, CloseCode
from websockets.protocol import State as WebSocketState
from websockets.server import ServerProtocol

from shardlayer.core.client_addresses import address_key
from shardlayer.core.close_codes import CLOSE_SLOW
from shardlayer.core.frames import text_frame
from shardlayer.server import server_events, slow_client
from shardlayer.server.accepting import Accepting
from shardlayer.server.address_limits import RETRY, TOO_MANY_REQUESTS
from shardlayer.server.connection import ConnectionState
from shardlayer.server.handshake import RETRY_AFTER
from shardlayer.server.inbox import Message
from shardlayer.server.keepalive import Due
from shardlayer.server.parser import forget_failure, has_failed, let_go, limit_messages
from shardlayer.server.scope import target_parts, websocket_scope
from shardlayer.server.server_counters import counters
from shardlayer.server.transports import Transport, addresses, is_secure

logger = logging.getLogger(__name__)

TOO_BIG = CloseCode.MESSAGE_TOO_BIG
MAX_REASON_SIZE = 123  # bytes: what a close frame holds beside the code (RFC 6455, 5.5)


class WebSocketProtocol(Accepting):
    """A Twisted protocol for a connection whose opening handshake was read and is valid."""

    __slots__ = ()

    # What the transport calls.

    def makeConnection(self, transport: Transport) -> None:  # noqa: N802
        """Start the application for this connection."""
        server, opening = self._server, self._opening
        if opening is None or opening.head is None:
            raise RuntimeError("A WebSocketProtocol serves one connection.")
        client, host = addresses(transport)
        if host is not None:
            transport.setTcpNoDelay(True)
        compression = None if opening.agreement is None else server.compression
        self._attach(transport, follows_http=opening.follows_http, compression=compression)
        head, opening.head = opening.head, None
        self._client = client
        try:
            scope = websocket_scope(
                head,
                server,
                offered=opening.offered,
                client=client,
                server=host,
                secure=is_secure(transport),
                extensions={"websocket.http.response": {}, "shardlayer": {"sink": self.sink}},
            )
        except ValueError:
            self._path, _ = target_parts(head.target)
            self._refuse(400, "Bad handshake: Daphne-Root-Path is wrong.")
            return
        self._client = scope["client"]
        self._path = scope["raw_path"].decode("ascii")  # not unquoted: it goes into log lines
        key = address_key(scope["client"][0]) if scope["client"] else None
        if key is not None:
            refusal = server.addresses.enter_by_handshake(key)
            if refusal:
                self._refuse(TOO_MANY_REQUESTS, refusal, RETRY)
                return
            self._address = key
        try:
            server.open_websocket(self, scope)
        except Exception:
            logger.exception("The application could not be started for %r", self)
            self._refuse(500, "Internal server error.")
            return
        self.inbox.put({"type": "websocket.connect"})
        self._log("connecting")

    def connectionLost(self, reason: Any) -> None:  # noqa: N802
        """Tell the application, with the client's close code, else ours, else 1006."""
        frames = self._frames
        close = _close_of(frames)
        if frames is not None:
            server_events.closed(
                frames,
                int(close.code),
                close.reason,
                client=self._client,
                path=self._path,
                opened_at=self._opened_at,
            )
            let_go(frames)
        if self._opening is not None:
            self._opening.abandon()
        self._frames = self._opening = None
        self._stop_reading()
        self._detach(int(close.code), close.reason)
        if self._address is not None:
            self._server.addresses.leave(self._address)
        self._server.websocket_lost(self)

    # What the application calls.

    async def send(self, message: Message) -> None:
        """Do what is asked, unless the connection is closing; wait while the client is behind.

        Raises:
            ValueError: For a message that the ASGI specification doesn't allow here.
        """
        if self.state >= ConnectionState.CLOSING:
            return
        kind = message.get("type")
        if kind == "websocket.send":
            self._send(message)
        elif kind == "websocket.accept":
            self._accept(message)
        elif kind == "websocket.close":
            code = message.get("code")
            self.close(1000 if code is None else code, message.get("reason") or "")
        elif kind == "websocket.http.response.start":
            self._opening_for(message).start_denial(message["status"], message.get("headers") or ())
        elif kind == "websocket.http.response.body":
            self._deny(message)
        else:
            raise ValueError(f"A WebSocket application can't send {kind!r}.")
        if not self.sink.is_idle:
            await self.sink.wait_drained()

    # What the server calls.

    def application_ended(self, task: asyncio.Future[Any]) -> None:
        """Close what the application has left open: with 1011, or refuse with 500, if it failed."""
        error = None if task.cancelled() else task.exception()
        if error is not None:
            logger.error("Exception inside application: %s", error, exc_info=error)
        if self.state is ConnectionState.OPENING:
            self._refuse(500, "Internal server error.")
        elif self.state is ConnectionState.OPEN:
            failed = task.cancelled() or error is not None
            self.close(CloseCode.INTERNAL_ERROR if failed else CloseCode.NORMAL_CLOSURE)
        elif self.state is ConnectionState.LOST:
            self._server.forget(self)

    def check_timeouts(self, now: float) -> None:
        """Apply Daphne's limits in time; called every two seconds with the monotonic time."""
        server = self._server
        if self.state is ConnectionState.OPENING:
            if 0 <= server.websocket_connect_timeout < now - self._opened_at:
                # A 403 says that to come again is in vain. After a 503 a proxy tries other nodes.
                extra = {"Retry-After": str(RETRY_AFTER)}
                self._refuse(504, "The application did not answer in time.", extra)
        elif self.state is ConnectionState.OPEN and self._frames is not None:
            if 0 <= server.websocket_timeout < now - self._opened_at:
                counters.lifetimes_ended += 1
                self.close(CloseCode.NORMAL_CLOSURE)
            else:
                self._check_message(self._frames, now)
                self._check_ping(self._frames, now)

    # What the sink calls, and the application through it.

    def close(self, code: int, reason: str = "") -> None:
        """Send a close frame, cutting a reason that is too long; refuse with 403 when opening.

        Raises:
            ValueError: If RFC 6455 doesn't let an endpoint send the code.
        """
        if self.state is ConnectionState.OPENING:
            self._refuse(403, "Access denied.", why=reason)
        frames = self._frames
        if frames is None or self.state is not ConnectionState.OPEN:
            return
        reason = reason.encode()[:MAX_REASON_SIZE].decode(errors="ignore")
        try:
            frames.send_close(code, reason)
        except ProtocolError as error:
            raise ValueError(f"{code} is no close code that may be sent.") from error
        self._flush(frames)

    def go_away(self, seconds: float) -> None:
        """Send the client away: this server is stopping. It may come back after some seconds."""
        if self.state is ConnectionState.OPENING:
            self._refuse(503, "The server is stopping.")
        elif self.state is ConnectionState.OPEN:
            self.sink.bid_farewell(seconds)
            self.close(CloseCode.SERVICE_RESTART)

    def overflowed(self) -> None:
        """Close a client that reads too slowly; what waits for it is dropped."""
        frames = self._frames
        if frames is None:
            self._transport.abortConnection()
            return
        data = slow_client.close_frame(frames)
        self._send_last(data, timeout=slow_client.SLOW_CLOSE_TIMEOUT, jump=True)
        self._tell(CLOSE_SLOW, slow_client.REASON)

    def limit_messages(self, size: int) -> None:
        """Close with 1009 a client whose message is larger than `size` bytes, from here on."""
        frames = self._frames if self._opening is None else self._opening.frames
        if frames is not None:
            limit_messages(frames, size)

    # Open and closing.

    def _send(self, message: Message) -> None:
        if self.state is ConnectionState.OPENING:
            raise ValueError("The application must accept the WebSocket before it sends.")
        frames = self._frames
        if frames is None:
            return
        text, data = message.get("text"), message.get("bytes")
        if text is not None and data is None:
            if frames.state is WebSocketState.OPEN:
                # What a hub writes. A message need not be compressed where that was agreed on.
                self.sink.send_paced(text_frame(text.encode()))
                return
            frames.send_text(text.encode())  # which says what is wrong
        elif data is not None and text is None:
            frames.send_binary(data)
        else:
            raise ValueError("websocket.send takes one of text and bytes.")
        self.sink.send_paced(b"".join(frames.data_to_send()))

    def _check_ping(self, frames: ServerProtocol, now: float) -> None:
        if self.state is not ConnectionState.OPEN:
            return
        if self.inbox.paused:
            # The application is behind, so nothing is read, and an answer couldn't be heard.
            self._keepalive.heard(now)
        server = self._server
        due = self._keepalive.check(now, interval=server.ping_interval, timeout=server.ping_timeout)
        if due is Due.NOTHING:
            return
        if due is Due.PING:
            counters.pings += 1
            frames.send_ping(b"")
        else:
            counters.ping_timeouts += 1
            frames.fail(CloseCode.INTERNAL_ERROR, "keepalive ping timeout")
        self._flush(frames)

    def _flush(self, frames: ServerProtocol, *, lingers: bool = False) -> None:
        """Write what the Sans-I/O protocol wants written, and follow where that leads.

        Args:
            frames: The protocol.
            lingers: Whether the client may still be sending if this ends the connection.
        """
        writes = frames.data_to_send()
        if not writes:
            return
        data = b"".join(writes)
        if frames.close_sent is None and writes[-1]:
            self.sink.send_data(data)
            return
        self._send_last(data)
        if not writes[-1]:  # SEND_EOF: the closing handshake is over, or there won't be one
            lingers = lingers or has_failed(frames)
            sent = frames.close_sent
            counters.messages_too_large += sent is not None and sent.code == TOO_BIG
            forget_failure(frames)
            self._reader.clear()
            self._end(lingers=lingers)
            close = _close_of(frames)
            self._tell(int(close.code), close.reason)


def _close_of(frames: ServerProtocol | None) -> Close:
    """Return the client's close code and reason, else ours, else 1006."""
    close = frames and (frames.close_rcvd or frames.close_sent)
    return close or Close(CloseCode.ABNORMAL_CLOSURE, "")
