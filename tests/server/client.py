"""A WebSocket client that sends any bytes, right or wrong."""

from __future__ import annotations

import base64
import os
import socket
import struct
from dataclasses import dataclass
from typing import Self

from websockets.utils import apply_mask

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10

KEY = base64.b64encode(b"sixteen bytes ok").decode()


@dataclass(frozen=True)
class Received:
    """A frame from the server."""

    opcode: int
    payload: bytes
    fin: bool = True

    @property
    def code(self) -> int:
        """The code of a close frame; 1005 if it has none."""
        return struct.unpack("!H", self.payload[:2])[0] if self.payload else 1005


def frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, mask: bool = True
) -> bytes:
    """Return a client's frame; nothing is checked."""
    first = fin << 7 | rsv << 4 | opcode
    length = len(payload)
    bit = mask << 7
    if length < 126:
        header = struct.pack("!BB", first, bit | length)
    elif length < 65536:
        header = struct.pack("!BBH", first, bit | 126, length)
    else:
        header = struct.pack("!BBQ", first, bit | 127, length)
    if not mask:
        return header + payload
    key = os.urandom(4)
    return header + key + bytes(apply_mask(payload, key))


def close_frame(code: int, reason: bytes = b"") -> bytes:
    """Return a client's close frame."""
    return frame(CLOSE, struct.pack("!H", code) + reason)


def request(path: str = "/echo", **changes: str | None) -> bytes:
    """Return an opening handshake; a header given as None is left out, `_` stands for `-`."""
    headers: dict[str, str | None] = {
        "Host": "test",
        "Upgrade": "websocket",
        "Connection": "keep-alive, Upgrade",
        "Sec-WebSocket-Key": KEY,
        "Sec-WebSocket-Version": "13",
        **{name.replace("_", "-"): value for name, value in changes.items()},
    }
    lines = [f"{name}: {value}" for name, value in headers.items() if value is not None]
    return "\r\n".join([f"GET {path} HTTP/1.1", *lines, "", ""]).encode("latin-1")


def read_to_the_reset(connection: socket.socket) -> bytes:
    """Return what comes until the server resets the connection, which it has to."""
    parts = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        return b"".join(parts)
    raise AssertionError("The connection ended in order.")


class RawClient:
    """One connection, from its opening handshake on.

    Attributes:
        head: The head of the answer to the handshake.
    """

    def __init__(self, connection: socket.socket, opening: bytes | None = None) -> None:
        self.socket = connection
        if connection.family != socket.AF_UNIX:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = connection.makefile("rb")
        self.send(request() if opening is None else opening)
        lines = []
        while (line := self._file.readline()) not in (b"\r\n", b""):
            lines.append(line)
        self.head = b"".join(lines).decode("latin-1")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.disconnect()

    @property
    def status(self) -> int:
        """The status of the answer to the handshake."""
        return int(self.head.split()[1])

    def send(self, data: bytes, chop: int | None = None) -> None:
        """Send bytes, in writes of at most `chop` bytes."""
        for start in range(0, len(data), chop or len(data) or 1):
            self.socket.sendall(data[start : start + (chop or len(data))])

    def read(self) -> Received | None:
        """Return the next frame, or None at the end of the connection."""
        header = self._file.read(2)
        if len(header) < 2:
            return None
        length = header[1]
        if length > 125:
            size, form = (2, "!H") if length == 126 else (8, "!Q")
            length = struct.unpack(form, self._file.read(size))[0]
        return Received(header[0] & 15, self._file.read(length), bool(header[0] & 128))

    def read_all(self) -> list[Received]:
        """Return the frames up to the end of the connection."""
        frames = []
        try:
            while received := self.read():
                frames.append(received)
        except ConnectionResetError:
            pass
        return frames

    def read_to_close(self) -> list[Received]:
        """Return the frames up to the server's close frame, and answer that."""
        frames: list[Received] = []
        while received := self.read():
            frames.append(received)
            if received.opcode == CLOSE:
                self.send(close_frame(received.code))
                break
        return frames

    def rest(self) -> bytes:
        """Return the bytes up to the end of the connection: a response's body."""
        return self._file.read()

    def is_cut_off(self) -> bool:
        """Say whether the server has ended the connection; nothing is read."""
        try:
            self.socket.sendall(frame(PONG))
        except OSError:
            return True
        return False

    def finish(self) -> list[Received]:
        """Close with 1000 and return what the server still sends, its close frame last."""
        self.send(close_frame(1000))
        return self.read_all()

    def disconnect(self) -> None:
        """Drop the TCP connection."""
        self._file.close()
        self.socket.close()
