"""One WebSocket: between a Twisted transport, the Sans-I/O protocol and an ASGI application.

Its states follow each other and never go back:

    OPENING   the request was valid; the application has not answered it
    OPEN      accepted: messages go both ways
    CLOSING   our last bytes are written or queued: a close frame, or a response that refuses
    LOST      the TCP connection is gone, and the application knows

Daphne's Server calls `handle_reply`, `handle_exception` and `check_timeouts`, as on its own
WebSocket protocol, and is told of the connection's beginning and end in the same way.
"""

from __future__ import annotations

import asyncio
import logging
import time
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from websockets import frames as ws
from websockets.exceptions import ProtocolError
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from shardlayer.server.counters import counters
from shardlayer.server.handshake import PROTOCOL_LOGGER, Opening
from shardlayer.server.inbox import Inbox, Message
from shardlayer.server.keepalive import Due, Keepalive
from shardlayer.server.messages import MessageReader
from shardlayer.server.scope import websocket_scope
from shardlayer.server.sink import SocketSink, TransportSink
from shardlayer.server.transports import Address, Transport, addresses, is_plain, is_secure

if TYPE_CHECKING:
    from shardlayer.server.server import Server

logger = logging.getLogger(__name__)

CLOSE_TIMEOUT = 10.0  # seconds for the client to take our last bytes and answer a close frame
SLOW_CLOSE_TIMEOUT = 5.0  # the same for a client that is closed for being too slow
SLOW_CONSUMER = 4008  # close code: come back, and resume by offset
MAX_REASON_SIZE = 123  # bytes: what a close frame holds beside the code (RFC 6455, 5.5)
MAX_EARLY_SIZE = 64 * 1024  # bytes that are kept of what a client sends before it is accepted


class State(IntEnum):
    """See the text of the module."""

    OPENING, OPEN, CLOSING, LOST = range(4)


class WebSocketProtocol:
    """A Twisted protocol for a connection whose opening handshake was read and is valid.

    Attributes:
        inbox: What the application receives.
        sink: What writes to the client; hubs get it by `scope["extensions"]["shardlayer"]`.
        state: Where in its life the connection is.
    """

    __slots__ = (
        "_abort_timer", "_client", "_ending", "_frames", "_keepalive", "_opened_at", "_opening",
        "_path", "_reader", "_server", "_transport", "inbox", "sink", "state",
    )  # fmt: skip

    inbox: Inbox
    sink: SocketSink

    def __init__(self, server: Server, opening: Opening) -> None:
        self._server = server
        self._opening: Opening | None = opening
        self._frames: ServerProtocol | None = None  # from acceptance on
        self._reader = MessageReader()
        self._abort_timer: asyncio.TimerHandle | None = None
        self._ending = False  # the TCP connection is to end once all is written
        self._opened_at = time.monotonic()
        self._keepalive = Keepalive(self._opened_at)
        self.state = State.OPENING

    def __repr__(self) -> str:
        return f"<WebSocketProtocol client={self._client!r} path={self._path!r}>"

    # What the transport calls.

    def makeConnection(self, transport: Transport) -> None:  # noqa: N802
        """Start the application for this connection."""
        server, opening = self._server, self._opening
        if opening is None or opening.request is None:
            raise RuntimeError("A WebSocketProtocol serves one connection.")
        client, host = addresses(transport)
        if host is not None:
            transport.setTcpNoDelay(True)
        self._transport = transport
        self.inbox = Inbox(transport)
        sink_class = SocketSink if is_plain(transport) else TransportSink
        self.sink = sink_class(self, transport, server.client_buffer_limit)
        scope = websocket_scope(
            opening.request,
            server,
            client=client,
            server=host,
            secure=is_secure(transport),
            extensions={"websocket.http.response": {}, "shardlayer": {"sink": self.sink}},
        )
        opening.request = None
        self._path: str = scope["raw_path"].decode("ascii")
        self._client: Address | None = scope["client"]
        server.protocol_connected(self)
        try:
            server.create_application(self, scope)
        except Exception:
            logger.exception("The application could not be started for %r", self)
            self._refuse(500, "Internal server error.")
            return
        self.inbox.put({"type": "websocket.connect"})
        self._log("connecting")

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        """Take bytes from the client."""
        self._keepalive.heard(time.monotonic())
        frames = self._frames
        if frames is None:
            self._keep_early(data)
            return
        frames.receive_data(data)
        for frame in frames.events_received():
            if self.state is State.OPEN and isinstance(frame, ws.Frame):
                message = self._reader.read(frame)
                if message is not None:
                    self.inbox.put(message)
        self._flush(frames)

    def connectionLost(self, reason: Any) -> None:  # noqa: N802
        """Tell the application and Daphne's life cycle that the connection is gone."""
        self.state = State.LOST
        if self._abort_timer is not None:
            self._abort_timer.cancel()
        close = self._close_seen()
        self._frames = self._opening = None
        self.sink.detach()
        self.inbox.release()
        self.inbox.put(
            {"type": "websocket.disconnect", "code": int(close.code), "reason": close.reason}
        )
        self._server.protocol_disconnected(self)
        self._log("disconnected")

    # What Daphne's Server calls.

    def handle_reply(self, message: Message) -> None:
        """Do what the application asks for; nothing once the connection is closing.

        Raises:
            ValueError: For a message that the ASGI specification doesn't allow here.
        """
        if self.state >= State.CLOSING:
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

    def handle_exception(self, exception: BaseException) -> None:
        """Close with 1011, or refuse with 500: the application failed."""
        if self.state is State.OPENING:
            self._refuse(500, "Internal server error.")
        else:
            self.close(ws.CloseCode.INTERNAL_ERROR)

    def check_timeouts(self) -> None:
        """Apply Daphne's limits in time; called every two seconds."""
        server = self._server
        now = time.monotonic()
        abandoned = "application_instance" not in server.connections[self]
        if self.state is State.OPENING:
            if abandoned:
                self._refuse(500, "Internal server error.")
            elif 0 <= server.websocket_connect_timeout < now - self._opened_at:
                self._refuse(403, "The application did not answer in time.")
        elif self.state is State.OPEN and self._frames is not None:
            if abandoned or 0 <= server.websocket_timeout < now - self._opened_at:
                self.close(ws.CloseCode.NORMAL_CLOSURE)
            else:
                self._check_ping(self._frames, now)

    # What the sink calls.

    def close(self, code: int, reason: str = "") -> None:
        """Send a close frame, cutting a reason that is too long; refuse with 403 when opening.

        Raises:
            ValueError: If RFC 6455 doesn't let an endpoint send the code.
        """
        if self.state is State.OPENING:
            self._refuse(403, "Access denied.")
        frames = self._frames
        if frames is None or self.state is not State.OPEN:
            return
        reason = reason.encode()[:MAX_REASON_SIZE].decode(errors="ignore")
        try:
            frames.send_close(code, reason)
        except ProtocolError as error:
            raise ValueError(f"{code} is no close code that may be sent.") from error
        self._flush(frames)

    def overflowed(self) -> None:
        """Close a client that reads too slowly; what waits for it is dropped."""
        frames = self._frames
        if frames is None:
            self._transport.abortConnection()
            return
        counters.slow_closed += 1
        frames.send_close(SLOW_CONSUMER, "slow consumer")
        data = b"".join(frames.data_to_send())
        self._send_last(data, SLOW_CLOSE_TIMEOUT, jump=True)

    def drained(self) -> None:
        """End the TCP connection if that is what was waited for."""
        if not self._ending:
            return
        self._ending = False
        self.sink.release_transport()
        failed = self._frames is not None and self._frames.parser_exc is not None
        if failed and is_plain(self._transport):
            # The client broke the protocol and may be sending still. A close with unread bytes
            # would reset the connection, and with it the close frame that says why: so only our
            # half ends here, and the other when the client does or the abort timer fires.
            self._transport.loseWriteConnection()
        else:
            self._transport.loseConnection()

    # The opening.

    def _keep_early(self, data: bytes) -> None:
        if self._opening is not None:
            self._opening.early += data
            if len(self._opening.early) > MAX_EARLY_SIZE:
                self._transport.pauseProducing()

    def _opening_for(self, message: Message) -> Opening:
        if self.state is not State.OPENING or self._opening is None:
            raise ValueError(f"{message['type']!r} came after the handshake was answered.")
        return self._opening

    def _accept(self, message: Message) -> None:
        opening = self._opening_for(message)
        answer = opening.accept(message.get("subprotocol"), message.get("headers") or ())
        self._opening = None
        self._frames = ServerProtocol(
            state=OPEN, max_size=self._server.message_limits, logger=PROTOCOL_LOGGER
        )
        self._frames.extensions = [self._reader]
        self.state = State.OPEN
        counters.accepted += 1
        self.sink.send_data(answer)
        self._log("connected")
        if opening.early:
            self._transport.resumeProducing()
            self.dataReceived(opening.early)

    def _deny(self, message: Message) -> None:
        opening = self._opening_for(message)
        if opening.denial is None:
            raise ValueError("The denial response has a body but no start.")
        self.sink.send_paced(opening.denial + message.get("body", b""))
        opening.denial = b""
        if not message.get("more_body", False):
            self._end_refused(b"")

    def _refuse(self, status: int, text: str) -> None:
        opening = self._opening
        if opening is not None:
            # A denial response that was begun can't be followed by another response.
            begun = opening.denial == b""
            self._end_refused(b"" if begun else opening.deny(status, text))

    def _end_refused(self, answer: bytes) -> None:
        counters.rejected += 1
        self._opening = None
        self._log("rejected")
        self._send_last(answer, CLOSE_TIMEOUT)
        self._end()

    # Open and closing.

    def _send(self, message: Message) -> None:
        if self.state is State.OPENING:
            raise ValueError("The application must accept the WebSocket before it sends.")
        frames = self._frames
        if frames is None:
            return
        text, data = message.get("text"), message.get("bytes")
        if text is not None and data is None:
            frames.send_text(text.encode())
        elif data is not None and text is None:
            frames.send_binary(data)
        else:
            raise ValueError("websocket.send takes one of text and bytes.")
        self.sink.send_paced(b"".join(frames.data_to_send()))

    def _check_ping(self, frames: ServerProtocol, now: float) -> None:
        if self.inbox.paused:
            # The application is behind, so nothing is read, and an answer couldn't be heard.
            self._keepalive.heard(now)
        server = self._server
        due = self._keepalive.check(now, interval=server.ping_interval, timeout=server.ping_timeout)
        if due is Due.PING:
            frames.send_ping(b"")
        elif due is Due.GIVE_UP:
            counters.ping_timeouts += 1
            frames.fail(ws.CloseCode.INTERNAL_ERROR, "keepalive ping timeout")
        self._flush(frames)

    def _flush(self, frames: ServerProtocol) -> None:
        """Write what the Sans-I/O protocol wants written, and follow where that leads."""
        writes = frames.data_to_send()
        if not writes:
            return
        data = b"".join(writes)
        if frames.close_sent is None and writes[-1]:
            self.sink.send_data(data)
            return
        self._send_last(data, CLOSE_TIMEOUT)
        if not writes[-1]:  # SEND_EOF: the closing handshake is over, or there won't be one
            self._end()

    def _send_last(self, data: bytes, timeout: float, *, jump: bool = False) -> None:
        if self.state >= State.CLOSING:
            return
        self.state = State.CLOSING
        self.sink.send_last(data, jump=jump)
        self.inbox.release()
        loop = asyncio.get_running_loop()
        self._abort_timer = loop.call_later(timeout, self._transport.abortConnection)

    def _end(self) -> None:
        self._ending = True
        if self.sink.is_idle:
            self.drained()

    def _close_seen(self) -> ws.Close:
        """Return what closed the connection: the client's close frame, else ours, else 1006."""
        frames = self._frames
        seen = None if frames is None else frames.close_rcvd or frames.close_sent
        return seen or ws.Close(ws.CloseCode.ABNORMAL_CLOSURE, "")

    def _log(self, action: str) -> None:
        client = None if self._client is None else "{}:{}".format(*self._client)
        self._server.log_action("websocket", action, {"path": self._path, "client": client})
