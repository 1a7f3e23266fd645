"""Tells clients that there is no room, with an answer that reaches them."""

from __future__ import annotations

import asyncio
import socket
import time

from shardlayer.aio.lingering import MAX_LINGERING, Lingering
from shardlayer.balancer.balancer_counters import BalancerCounters
from shardlayer.core.events import events_are_told, tell_event

RETRY_AFTER = 5  # seconds
LINGER = 2.0  # seconds for a client to read the answer and close
READ_SIZE = 64 * 1024  # bytes

STATUS = 503
_BODY = b"All connections are taken. Try again later.\n"
ANSWER = (
    b"HTTP/1.1 %d Service Unavailable\r\n"
    b"Retry-After: %d\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n"
    b"Content-Length: %d\r\n"
    b"Cache-Control: no-store\r\n"
    b"Connection: close\r\n"
    b"\r\n%b" % (STATUS, RETRY_AFTER, len(_BODY), _BODY)
)


class Refusals:
    """Connections that get a 503; belongs to one event loop."""

    def __init__(self, counters: BalancerCounters) -> None:
        self._loop = asyncio.get_running_loop()
        self._counters = counters
        self._lingering: Lingering[socket.socket] = Lingering(
            self._close, patience=LINGER, most=MAX_LINGERING
        )

    def __len__(self) -> int:
        return len(self._lingering)

    def refuse(self, connection: socket.socket) -> None:
        """Answer with 503 and close, once the client has read it."""
        self._counters.refused += 1
        _tell(connection)
        connection.setblocking(False)
        ended = self._read(connection)
        try:
            connection.send(ANSWER)
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            ended = True
        if ended:
            connection.close()
            return
        # A close with unread bytes would reset the connection, and the answer with it.
        self._loop.add_reader(connection, self._readable, connection)
        self._lingering.begin(connection, time.monotonic())

    def check(self, now: float) -> None:
        """Close those who have had their time."""
        self._lingering.check(now)

    def close(self) -> None:
        """Close all."""
        while self._lingering.displace():
            pass

    def _readable(self, connection: socket.socket) -> None:
        if self._read(connection):
            self._close(connection)

    def _close(self, connection: socket.socket) -> None:
        self._lingering.end(connection)
        self._loop.remove_reader(connection)
        connection.close()

    @staticmethod
    def _read(connection: socket.socket) -> bool:
        """Drop what the client sends; say whether it has ended."""
        try:
            return not connection.recv(READ_SIZE)
        except BlockingIOError:
            return False
        except OSError:
            return True


def _tell(connection: socket.socket) -> None:
    """Tell operators of a refusal, as a server does of its own."""
    if events_are_told():
        try:
            client = str(connection.getpeername()[0])
        except OSError:  # it has left
            client = None
        tell_event("refused", status=STATUS, reason=_BODY.decode().strip(), client=client)
