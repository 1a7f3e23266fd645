"""One connection, from the handshake to its last frame."""

from __future__ import annotations

import socket
import zlib
from contextlib import suppress
from typing import ClassVar

from benchmarks.greeting import Greeting, Step
from realtime.loadtest.client_frames import (
    CLOSE,
    COMPRESSED,
    PING,
    PONG,
    TEXT,
    masked_frame,
    split_frames,
)

# What Chromium sends, except the offer to compress, which some peers would take: it is sent where
# a greeting says so.
_REQUEST = (
    "GET {path} HTTP/1.1\r\n"
    "Host: 127.0.0.1:{port}\r\n"
    "Connection: Upgrade\r\n"
    "Pragma: no-cache\r\n"
    "Cache-Control: no-cache\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/142.0.0.0 Safari/537.36\r\n"
    "Upgrade: websocket\r\n"
    "Origin: http://127.0.0.1:{port}\r\n"
    "Sec-WebSocket-Version: 13\r\n"
    "Accept-Encoding: gzip, deflate, br, zstd\r\n"
    "Accept-Language: en-US,en;q=0.9\r\n"
    "{more}"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "\r\n"
)
_OFFER = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
_END_OF_DEFLATED = b"\x00\x00\xff\xff"  # what RFC 7692 leaves out
IP_BIND_ADDRESS_NO_PORT = 24  # of linux/in.h
_NORMAL = (1000).to_bytes(2)  # a close code
HEADERS_END = b"\r\n\r\n"


def upgrade_request(
    path: str, port: int, cookie: str = "", address: str = "", *, offers: bool = False
) -> bytes:
    """Return a browser's request for a WebSocket; with an address, as a proxy passes it on.

    `offers` says whether it offers to take compressed messages.
    """
    lines = f"Cookie: {cookie}\r\n" if cookie else ""
    if offers:
        lines += _OFFER
    if address:
        lines += f"X-Forwarded-For: {address}\r\n"
    return _REQUEST.format(path=path, port=port, more=lines).encode()


class Refused(ConnectionError):
    """The server did not make a subscriber of a connection, or cut it."""


class Client:
    """A non-blocking socket and how far it has come.

    Args:
        port: The server's.
        greeting: How clients introduce themselves.
        number: Which of the clients this is.

    Attributes:
        ready: Whether it is subscribed: the handshake and all steps of the greeting are behind.
        expected: The number of the message that must come next.
    """

    __slots__ = (
        "_address",
        "_cookie",
        "_greeting",
        "_offers",
        "_opening",
        "_path",
        "_rest",
        "_step",
        "_steps",
        "_upgraded",
        "expected",
        "ready",
        "socket",
    )

    # One loop reads one socket after the other, so all share what they read into.
    BUFFER: ClassVar[bytearray] = bytearray(512 * 1024)
    VIEW: ClassVar[memoryview] = memoryview(BUFFER)
    bytes_read: ClassVar[int] = 0  # by all of them

    def __init__(
        self, port: int, greeting: Greeting, number: int, source: str | None = None
    ) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if source is not None:
            # The port when it is known where to: so each address has all ports for each server.
            self.socket.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
            self.socket.bind((source, 0))
        self.socket.connect_ex(("127.0.0.1", port))
        self.ready = False
        self.expected = 0
        self._greeting = greeting
        self._path = greeting.path_of(number)
        cookies = greeting.cookies
        self._cookie = cookies[number % len(cookies)] if cookies else ""
        addresses = greeting.addresses
        self._address = addresses[number % len(addresses)] if addresses else ""
        openings = greeting.openings
        self._opening = openings[number % len(openings)] if openings else ""
        offers = greeting.offers
        self._offers = bool(offers) and offers[number % len(offers)]
        self._steps = iter(greeting.steps)
        self._step: Step | None = None
        self._upgraded = False
        self._rest = b""  # of a frame, or of the handshake's response, that came in part

    def request(self) -> None:
        """Ask for the upgrade; call once, when the connection is made.

        Raises:
            OSError: The connection was not made.
        """
        error = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise Refused(f"connect failed: errno {error}")
        port = self.socket.getpeername()[1]
        self.socket.send(
            upgrade_request(*(self._path, port, self._cookie, self._address), offers=self._offers)
        )

    def leave(self) -> None:
        """Say that the connection is over, if that can be sent."""
        with suppress(OSError):
            self.socket.send(masked_frame(CLOSE, _NORMAL))

    def read(self) -> list[tuple[int, int]]:
        """Read once and return where in BUFFER the texts of a subscriber are.

        They are valid until the next read of any client. What is not for a subscriber is dealt
        with here: the handshake, the greeting, pings.

        Raises:
            Refused: The handshake or the greeting went wrong, or the server closed.
            UnexpectedFrame: See split_frames.
        """
        kept = len(self._rest)
        if kept:
            self.BUFFER[:kept] = self._rest
            count = self.socket.recv_into(self.VIEW[kept:])
        else:
            count = self.socket.recv_into(self.BUFFER)
        if not count:
            raise Refused("the server closed the connection")
        end = kept + count
        Client.bytes_read += count
        if not self._upgraded:
            head = self.BUFFER.find(HEADERS_END, 0, end)
            if head < 0:
                self._rest = bytes(self.BUFFER[:end])
                return []
            end = self._upgrade(head + len(HEADERS_END), end)
        frames, taken = split_frames(self.BUFFER, end, compressed=self._offers)
        self._rest = bytes(self.BUFFER[taken:end]) if taken < end else b""
        if self._offers:
            frames = self._inflated(frames)
        if self.ready and not self._greeting.answers:
            texts = [(start, stop) for opcode, start, stop in frames if opcode == TEXT]
            if len(texts) == len(frames):
                return texts
        return [
            (start, stop) for opcode, start, stop in frames if self._is_text(opcode, start, stop)
        ]

    def _upgrade(self, head: int, end: int) -> int:
        """Take the response's head out of the buffer and return where the buffer ends now."""
        if not self.BUFFER.startswith(b"HTTP/1.1 101 "):
            line = bytes(self.BUFFER[: self.BUFFER.find(b"\r\n")]).decode("latin-1")
            raise Refused(f"the server answered {line}")
        self._upgraded = True
        self._advance()
        if self._opening:
            self.socket.send(masked_frame(TEXT, self._opening.encode()))
        self.BUFFER[: end - head] = self.BUFFER[head:end]
        return end - head

    def _inflated(self, frames: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
        """Put the texts of compressed frames in the place of what came."""
        if not any(opcode & COMPRESSED for opcode, _, _ in frames):
            return frames
        payloads = []
        for opcode, start, stop in frames:
            payload = bytes(self.BUFFER[start:stop])
            if opcode & COMPRESSED:
                payload = zlib.decompressobj(-15).decompress(payload + _END_OF_DEFLATED)
            payloads.append((opcode & ~COMPRESSED, payload))
        found, at = [], 0
        for opcode, payload in payloads:
            self.BUFFER[at : at + len(payload)] = payload
            found.append((opcode, at, at + len(payload)))
            at += len(payload)
        return found

    def _advance(self) -> None:
        self._step = next(self._steps, None)
        self.ready = self._step is None

    def _is_text(self, opcode: int, start: int, stop: int) -> bool:
        """Deal with a frame that may not be for the subscriber; return whether it is."""
        payload = bytes(self.BUFFER[start:stop])
        if opcode == PING:
            self.socket.send(masked_frame(PONG, payload))
            return False
        if opcode == CLOSE:
            code = int.from_bytes(payload[:2])
            raise Refused(f"the server closed with {code} {payload[2:].decode(errors='replace')}")
        if opcode != TEXT:
            return False
        text = payload.decode()
        answer = self._greeting.answers.get(text)
        if answer is not None:
            self.socket.send(masked_frame(TEXT, answer.encode()))
            return False
        if self._step is None:
            return True
        if not text.startswith(self._step.expect) or self._step.contains not in text:
            raise Refused(f"expected {self._step!r}, got {text[:200]!r}")
        if self._step.reply is not None:
            self.socket.send(masked_frame(TEXT, self._step.reply.encode()))
        self._advance()
        return False
