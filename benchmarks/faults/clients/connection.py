"""One WebSocket of a recording client, with the heartbeat of client.js."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Self

import orjson

from benchmarks.swarm.client import HEADERS_END, upgrade_request
from realtime.loadtest.client_frames import CLOSE, PING, PONG, TEXT, masked_frame, split_frames

# As client.js has them, in seconds.
OPEN_TIMEOUT = 10.0
HEARTBEAT = 10.0
PONG_TIMEOUT = 10.0

_PING = b'{"id":9007199254740991,"ping":{}}'  # an id that no other command comes to


class Connection(asyncio.Protocol):
    """Made by `open`; hands each text to `receive` until it has ended.

    Attributes:
        port: Of the worker.
        ended: Set when it has, for whatever reason.
    """

    def __init__(self, port: int, receive: Callable[[bytearray], None]) -> None:
        self.ended = asyncio.Event()
        self.port = port
        self._receive = receive
        self._upgraded: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._heard = time.monotonic()
        self._heartbeat: asyncio.TimerHandle | None = None

    @classmethod
    async def open(cls, port: int, receive: Callable[[bytearray], None]) -> Self:
        """Return a connection that takes commands.

        Raises:
            OSError, TimeoutError: There is none.
        """
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(OPEN_TIMEOUT):
            _, connection = await loop.create_connection(
                lambda: cls(port, receive), "127.0.0.1", port
            )
            try:
                await connection._upgraded
            except BaseException:
                connection.close()
                raise
        connection._beat()
        return connection

    def send(self, command: dict[str, Any]) -> None:
        """Send a command, if the connection is still there."""
        if self._transport is not None:
            self._transport.write(masked_frame(TEXT, orjson.dumps(command)))

    def close(self) -> None:
        """End it without a word, as a network that breaks does."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(upgrade_request("/ws/", self.port))

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self.ended.set()
        if self._heartbeat is not None:
            self._heartbeat.cancel()
        if not self._upgraded.done():
            self._upgraded.set_exception(ConnectionError("ended in the handshake"))

    def data_received(self, data: bytes) -> None:
        self._heard = time.monotonic()
        self._buffer += data
        if not self._upgraded.done() and not self._upgrade():
            return
        frames, taken = split_frames(self._buffer, len(self._buffer))
        for opcode, start, stop in frames:
            if opcode == TEXT:
                self._receive(self._buffer[start:stop])
            elif opcode == PING and self._transport is not None:
                self._transport.write(masked_frame(PONG, bytes(self._buffer[start:stop])))
            elif opcode == CLOSE:
                self.close()
        del self._buffer[:taken]

    def _upgrade(self) -> bool:
        head = self._buffer.find(HEADERS_END)
        if head < 0:
            return False
        if not self._buffer.startswith(b"HTTP/1.1 101 "):
            self.close()
            return False
        del self._buffer[: head + len(HEADERS_END)]
        self._upgraded.set_result(None)
        return True

    def _beat(self) -> None:
        """Ping now and then; what stays silent is dead."""
        if self._transport is None:
            return
        if time.monotonic() - self._heard > HEARTBEAT + PONG_TIMEOUT:
            self.close()
            return
        self._transport.write(masked_frame(TEXT, _PING))
        self._heartbeat = asyncio.get_running_loop().call_later(HEARTBEAT, self._beat)
