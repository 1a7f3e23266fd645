"""From a valid opening handshake to the application's answer: accepted, denied or refused.

What the client sends before it has the answer is kept, up to a limit.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from shardlayer.core.client_addresses import AddressKey
from shardlayer.server import server_events
from shardlayer.server.connection import ConnectionState
from shardlayer.server.deflate import Inflating
from shardlayer.server.handshake import NO_HEADERS, Opening
from shardlayer.server.host import WebSocketHost
from shardlayer.server.inbox import Message
from shardlayer.server.reading import Reading
from shardlayer.server.server_counters import counters
from shardlayer.server.transports import is_plain

MAX_EARLY_SIZE = 64 * 1024  # bytes that are kept of what a client sends before it is accepted


class Accepting(Reading):
    """The accepting half of a connection.

    Args:
        server: Where it is served.
        opening: The handshake, which is valid and not answered.
    """

    __slots__ = ("_address", "_opened_at", "_opening")

    def __init__(self, server: WebSocketHost, opening: Opening) -> None:
        self._opened_at = time.monotonic()
        super().__init__(server, self._opened_at)
        self._opening: Opening | None = opening  # until it is answered
        self._address: AddressKey | None = None  # what it is counted under

    def _keep_early(self, data: bytes) -> None:
        if self._opening is not None:
            self._opening.early += data
            if len(self._opening.early) > MAX_EARLY_SIZE:
                self._transport.pauseProducing()

    def _opening_for(self, message: Message) -> Opening:
        if self.state is not ConnectionState.OPENING or self._opening is None:
            raise ValueError(f"{message['type']!r} came after the handshake was answered.")
        return self._opening

    def _accept(self, message: Message) -> None:
        opening = self._opening_for(message)
        answer = opening.accept(message.get("subprotocol"), message.get("headers") or ())
        self._opening = None
        self._frames = opening.frames
        self._frames.extensions = [self._reader]
        if opening.agreement is not None:
            self._inflating = Inflating(opening.agreement)
            self._frames.extensions.append(self._inflating)
            counters.compressed += 1
        self.state = ConnectionState.OPEN
        counters.accepted += 1
        self.sink.send_soon(answer)
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

    def _refuse(
        self, status: int, text: str, extra: Mapping[str, str] = NO_HEADERS, *, why: str = ""
    ) -> None:
        """Refuse the connection, unless it is answered; `why`: for the log, if not `text`."""
        opening = self._opening
        if opening is not None:
            server_events.refused(status, why or text, self._client, self._path)
            # A denial response that was begun can't be followed by another response.
            begun = opening.denial == b""
            self._end_refused(b"" if begun else opening.deny(status, text, extra))

    def _end_refused(self, answer: bytes) -> None:
        counters.rejected += 1
        if self._opening is not None:
            self._opening.abandon()
        self._opening = None
        self._log("rejected")
        self._send_last(answer)
        self._end()
        if not (self.sink.is_idle and is_plain(self._transport)):  # so it waits for the client
            self._server.lingering.begin(self, time.monotonic())
