"""The opening handshake (RFC 6455, 4.2): checking the request, and each way to answer it.

The request is read and checked (request.py, opening_check.py) outside of the parser that the
Sans-I/O protocol runs for the connection: that would hold the request, its headers and their copies
for as long as the connection lives.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from email.utils import formatdate
from http import HTTPStatus
from urllib.parse import unquote

from websockets.datastructures import Headers
from websockets.exceptions import (
    InvalidHandshake,
    InvalidHeader,
    InvalidProtocol,
    InvalidUpgrade,
)
from websockets.http11 import Response
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from shardlayer.server.deflate import Agreement, agree
from shardlayer.server.opening_check import check_opening
from shardlayer.server.parser import let_go
from shardlayer.server.request import BadHead, Head, read_head

PROTOCOL_LOGGER = logging.getLogger("shardlayer.server.protocol")
"""Gets what the Sans-I/O protocol logs; DEBUG shows each frame."""
# At INFO it has two lines for each connection, which Daphne's access log has already.
PROTOCOL_LOGGER.setLevel(logging.WARNING)

MessageLimits = tuple[int | None, int | None]
"""The largest message and the largest frame in bytes; None is without limit."""

HeaderList = Iterable[Iterable[bytes]]

_EXTENSIONS = "Sec-WebSocket-Extensions"
_SUBPROTOCOL = "Sec-WebSocket-Protocol"
NO_HEADERS: Mapping[str, str] = {}

RETRY_AFTER = 5  # seconds, in the answer to a client for which there is no room or no answer
NO_ROOM = "The server holds as many connections as it may. Try again later."

_SWITCHING = (
    "HTTP/1.1 101 Switching Protocols\r\n"
    "Upgrade: websocket\r\n"
    "Connection: Upgrade\r\n"
    "Sec-WebSocket-Accept: "
)
_OWN_HEADERS = frozenset(
    {"connection", "sec-websocket-accept", "sec-websocket-extensions", "upgrade"}
)
_is_name = re.compile(rb"[-!#$%&'*+.^_`|~0-9a-zA-Z]+").fullmatch  # RFC 9110, 5.6.2
_is_value = re.compile(rb"[\t\x20-\x7e\x80-\xff]*").fullmatch  # RFC 9110, 5.5


class HandshakeRefused(Exception):
    """The request is no valid opening handshake.

    Attributes:
        answer: The HTTP response to send before the connection is closed.
    """

    def __init__(self, answer: bytes) -> None:
        super().__init__("The request is no valid opening handshake.")
        self.answer = answer


class Opening:
    """A valid opening handshake that waits for the application's answer.

    Attributes:
        frames: The Sans-I/O protocol for the frames that come after it.
        head: The request, until the scope was built from it.
        offered: The subprotocols that the client offers, in its order of preference.
        early: Bytes that the client sent before it had an answer.
        denial: The head of the denial response that the application has begun; empty when sent.
        agreement: What was agreed on of compression, if anything.
        follows_http: Whether the connection has served HTTP before, so that an answer may still
            be on its way.
    """

    __slots__ = (
        "_accept_key",
        "_server_name",
        "agreement",
        "denial",
        "early",
        "follows_http",
        "frames",
        "head",
        "offered",
    )

    def __init__(
        self,
        data: bytes,
        server_name: str,
        limits: MessageLimits,
        *,
        follows_http: bool = False,
        compresses: bool = False,
    ) -> None:
        """Read and check a request's head, blank line included.

        `compresses` says whether compression is agreed on with a client that offers it.

        Raises:
            HandshakeRefused: If it is no valid opening handshake.
        """
        try:
            head = read_head(data)
        except BadHead as error:
            text = f"Bad handshake: {error}."
            raise HandshakeRefused(plain_response(error.status, text, server_name)) from error
        frames = ServerProtocol(state=OPEN, max_size=limits, logger=PROTOCOL_LOGGER)
        try:
            self._accept_key, self.offered = check_opening(head, frames)
            self.agreement: Agreement | None = agree(head) if compresses else None
        except InvalidHandshake as error:
            let_go(frames)
            raise HandshakeRefused(_refusal(error, server_name)) from error
        self.frames = frames
        self.head: Head | None = head
        self._server_name = server_name
        self.early = b""
        self.follows_http = follows_http
        self.denial: bytes | None = None

    def accept(self, subprotocol: str | None, headers: HeaderList) -> bytes:
        """Return the 101 response.

        Raises:
            ValueError: For a subprotocol that the client did not offer (RFC 6455, 4.2.2), or a
                header that is malformed or belongs to the handshake itself.
        """
        if self.denial is not None:
            raise ValueError("The handshake can't be accepted: a denial response was started.")
        lines = [_SWITCHING + self._accept_key]
        if subprotocol is not None:
            lines.append(f"{_SUBPROTOCOL}: {self._as_offered(subprotocol)}")
        if self.agreement is not None:
            lines.append(f"{_EXTENSIONS}: {self.agreement.answer}")
        server_name = self._server_name
        for name, value in checked_headers(headers):
            if name.lower() in _OWN_HEADERS:
                raise ValueError(f"The header {name} belongs to the WebSocket handshake.")
            if name.lower() == "server":
                server_name = ""
            lines.append(f"{name}: {value}")
        if server_name:
            lines.append(f"Server: {server_name}")
        return "\r\n".join([*lines, "\r\n"]).encode("latin-1")

    def _as_offered(self, subprotocol: str) -> str:
        """Return a subprotocol as the client wrote it; the scope has it percent-decoded."""
        for offered in self.offered:
            if subprotocol in (offered, unquote(offered)):
                return offered
        raise ValueError(
            f"The application accepted subprotocol {subprotocol!r}; the client offered "
            f"{', '.join(map(repr, self.offered)) or 'none'}."
        )

    def start_denial(self, status: int, headers: HeaderList) -> None:
        """Begin a denial response (the ASGI extension `websocket.http.response`)."""
        if self.denial is not None:
            raise ValueError("The denial response has been started already.")
        if not 200 <= status <= 599:
            raise ValueError(f"A denial response can't have the status {status}.")
        answer = _answer_headers(self._server_name)
        for name, value in checked_headers(headers):
            # Several values of `connection` would contradict each other: the connection ends.
            if name.lower() != "connection":
                answer[name] = value
        self.denial = Response(status, _reason(status), answer).serialize()

    def deny(self, status: int, text: str, extra: Mapping[str, str] = NO_HEADERS) -> bytes:
        """Return a whole response that refuses the connection."""
        return plain_response(status, text, self._server_name, extra)

    def abandon(self) -> None:
        """Let go of the protocol, which there won't be frames for."""
        let_go(self.frames)


def plain_response(
    status: int, text: str, server_name: str = "", extra: Mapping[str, str] = NO_HEADERS
) -> bytes:
    """Return an HTTP/1.1 response with a plain text, after which the connection is closed."""
    body = f"{text}\n".encode()
    headers = _answer_headers(server_name)
    headers["Content-Type"] = "text/plain; charset=utf-8"
    headers["Content-Length"] = str(len(body))
    headers.update(extra)
    return Response(status, _reason(status), headers, body).serialize()


def _refusal(error: InvalidHandshake, server_name: str) -> bytes:
    """Return the answer to a bad handshake, which repeats nothing that the client sent."""
    match error:
        case InvalidProtocol():
            return plain_response(505, "Bad handshake: the protocol is not HTTP/1.1.", server_name)
        case InvalidUpgrade():
            text = "This address is for WebSockets: Upgrade and Connection must ask for one."
            return plain_response(426, text, server_name, {"Upgrade": "websocket"})
        case InvalidHeader():
            # websockets names only those headers that it knows.
            text = f"Bad handshake: {error.name} is missing or wrong."
            return plain_response(400, text, server_name)
    return plain_response(400, "Bad handshake.", server_name)


def checked_headers(headers: HeaderList) -> list[tuple[str, str]]:
    """Return an application's headers as text; raise ValueError for what can't be a header."""
    checked = []
    for pair in headers:
        name, value = pair
        if not (isinstance(name, bytes) and isinstance(value, bytes)):
            raise ValueError(f"A header's name and value must be bytes: {name!r}: {value!r}.")
        if not _is_name(name) or not _is_value(value):
            raise ValueError(f"This can't be a header: {name!r}: {value!r}.")
        checked.append((name.decode("ascii"), value.decode("latin-1")))
    return checked


def _answer_headers(server_name: str) -> Headers:
    headers = Headers(Date=formatdate(usegmt=True), Connection="close")
    if server_name:
        headers["Server"] = server_name
    return headers


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:  # an unassigned status is allowed, it just has no name
        return ""
