"""One WebSocket: from the TCP connection to the frames that came."""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar, Final, Self

from realtime.loadtest.client_frames import CLOSE, PING, PONG, TEXT, masked_frame, split_frames

_REQUEST: Final = (
    "GET {path} HTTP/1.1\r\n"
    "Host: {host}\r\n"
    "Connection: Upgrade\r\n"
    "Upgrade: websocket\r\n"
    "Origin: {origin}\r\n"
    "User-Agent: shardlayer-loadtest\r\n"
    "Sec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "\r\n"
)
_IP_BIND_ADDRESS_NO_PORT: Final = 24  # of linux/in.h
_HEADERS_END: Final = b"\r\n\r\n"
_WAITS: Final[tuple[type[OSError], ...]] = (BlockingIOError, ssl.SSLWantReadError)
NORMAL: Final = (1000).to_bytes(2)


class Lost(ConnectionError):
    """The connection was refused or cut; the text is a short reason, the same for all alike."""


@dataclass(frozen=True, slots=True)
class SwarmTarget:
    """A server, as a connection needs it.

    Attributes:
        address: The IP address.
        port: The port.
        request: The request for the upgrade.
        tls: A context, and the name that the certificate must have; None: plain TCP.
    """

    address: str
    port: int
    request: bytes
    tls: tuple[ssl.SSLContext, str] | None

    @classmethod
    def of(
        cls, *, address: str, port: int, path: str, host: str, origin: str, tls_name: str
    ) -> Self:
        """Return the server with this address, host, and name of its certificate; none: no TLS."""
        tls = (ssl.create_default_context(), tls_name) if tls_name else None
        request = _REQUEST.format(path=path, host=host, origin=origin).encode()
        return cls(address, port, request, tls)


class LoadConnection:
    """A non-blocking socket.

    Args:
        target: The server.
        source: The address to come from; empty: any.

    Attributes:
        is_open: Whether the handshake is behind.
    """

    __slots__ = ("_rest", "_target", "is_open", "socket")

    # One loop reads one socket after the other, so all share what they read into.
    BUFFER: ClassVar[bytearray] = bytearray(1024 * 1024)
    VIEW: ClassVar[memoryview] = memoryview(BUFFER)

    def __init__(self, target: SwarmTarget, source: str) -> None:
        family = socket.AF_INET6 if ":" in target.address else socket.AF_INET
        self.socket: socket.socket | ssl.SSLSocket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._target = target
        self.is_open = False
        self._rest = b""  # of a frame, or of the handshake's response, that came in part
        if source:
            # The port when it is known where to: so each address has all ports for each server.
            self.socket.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
            self.socket.bind((source, 0))
        self.socket.connect_ex((target.address, target.port))

    def connected(self) -> bool:
        """Go on when the socket is writable, or readable within TLS; True: the request is sent.

        Raises:
            Lost: The connection or its TLS was not made.
        """
        error = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise Lost(f"no connection: errno {error}")
        try:
            if self._target.tls is not None:
                if not isinstance(self.socket, ssl.SSLSocket):
                    context, name = self._target.tls
                    self.socket = context.wrap_socket(
                        self.socket, server_hostname=name, do_handshake_on_connect=False
                    )
                self.socket.do_handshake()
            self.socket.send(self._target.request)
        except _WAITS:
            return False
        except ssl.SSLError as problem:
            raise Lost(f"no TLS: {problem.reason}") from problem
        except OSError as problem:
            raise Lost(f"no connection: errno {problem.errno}") from problem
        return True

    def send(self, text: bytes) -> None:
        """Send a text of at most 65,535 bytes; what the kernel does not take ends the connection.

        Raises:
            Lost: It is cut, or does not read.
        """
        self._send(TEXT, text)

    def _send(self, opcode: int, payload: bytes) -> None:
        frame = masked_frame(opcode, payload)
        try:
            if self.socket.send(frame) != len(frame):
                raise Lost("the server does not read")
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError) as error:
            raise Lost("the server does not read") from error
        except OSError as error:
            raise Lost("cut") from error

    def read(self) -> list[tuple[int, int]]:
        """Read once and return where in BUFFER texts are, valid until any connection reads.

        Pings are answered here.

        Raises:
            Lost: The handshake was refused, or the server closed.
            UnexpectedFrame: See split_frames.
        """
        kept = len(self._rest)
        self.BUFFER[:kept] = self._rest
        try:
            count = self.socket.recv_into(self.VIEW[kept:])
        except _WAITS:
            return []
        except OSError as error:
            raise Lost("cut") from error
        if not count:
            raise Lost("cut" if self.is_open else "cut in the handshake")
        end = kept + count
        if isinstance(self.socket, ssl.SSLSocket):
            while self.socket.pending() and end < len(self.BUFFER):  # epoll does not tell of these
                end += self.socket.recv_into(self.VIEW[end:])
        if not self.is_open:
            head = self.BUFFER.find(_HEADERS_END, 0, end)
            if head < 0:
                self._rest = bytes(self.BUFFER[:end])
                return []
            end = self._upgrade(head + len(_HEADERS_END), end)
        frames, taken = split_frames(self.BUFFER, end)
        self._rest = bytes(self.BUFFER[taken:end]) if taken < end else b""
        texts = []
        for opcode, start, stop in frames:
            if opcode == TEXT:
                texts.append((start, stop))
            elif opcode == PING:
                self._send(PONG, bytes(self.BUFFER[start:stop]))
            elif opcode == CLOSE:
                code = int.from_bytes(self.BUFFER[start : start + 2])
                raise Lost(f"closed with {code}")
        return texts

    def _upgrade(self, head: int, end: int) -> int:
        """Take the response's head out of the buffer and return where the buffer ends now."""
        line = bytes(self.BUFFER[: self.BUFFER.find(b"\r\n")])
        status = line.split(b" ")[1:2]
        if status != [b"101"]:
            raise Lost(f"answered with {b''.join(status).decode('latin-1') or 'no HTTP'}")
        self.is_open = True
        self.BUFFER[: end - head] = self.BUFFER[head:end]
        return end - head

    def close(self, *, politely: bool) -> None:
        """Close it: with a close frame, or as a client that lost its network."""
        if politely and self.is_open:
            with suppress(Lost):  # then it is closed already
                self._send(CLOSE, NORMAL)
        self.socket.close()
