"""Looks at what a client wants when places are left only for those who want something.

These are the reserve, which is for pages, and the places of clients that have sent nothing yet.

It only peeks (MSG_PEEK): the worker that gets the connection reads the same bytes again.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable

from shardlayer.aio.deadlines import Deadlines
from shardlayer.balancer.peeking import MAX_PEEK, FirstBytes, what_is_wanted

LOOK_TIMEOUT = 5.0  # seconds for a client to say what it wants
MAX_LOOKED_AT = 1024  # clients that may take that time at once; one more ends the first one's


class FirstLook:
    """Connections whose first bytes are waited for; belongs to one event loop.

    Args:
        decided: Called with a connection and what it wants: OTHER if it did not say so in time.
        gone: Called with a connection whose client left; it is to be closed.
    """

    def __init__(
        self,
        decided: Callable[[socket.socket, FirstBytes], None],
        gone: Callable[[socket.socket], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._decided = decided
        self._gone = gone
        self._seen: dict[socket.socket, int] = {}  # bytes
        self._deadlines: Deadlines[socket.socket] = Deadlines(LOOK_TIMEOUT)

    def __len__(self) -> int:
        return len(self._seen)

    def look(self, connection: socket.socket) -> None:
        """Find out what a connection wants, now or when it says so."""
        connection.setblocking(False)
        self._seen[connection] = 0
        self._deadlines.start(connection, time.monotonic())
        self._loop.add_reader(connection, self._look, connection)
        self._look(connection)
        if len(self._seen) > MAX_LOOKED_AT:
            self._end(next(iter(self._seen)))

    def check(self, now: float) -> None:
        """Wait no longer for those who had their time."""
        for connection in self._deadlines.take_overdue(now):
            self._end(connection)

    def close(self) -> None:
        """Decide about all who are waited for."""
        for connection in list(self._seen):
            self._end(connection)

    def _end(self, connection: socket.socket) -> None:
        if connection in self._seen:
            self._look(connection)  # this process may have been the one that stood still
        if connection in self._seen:
            self._forget(connection)
            self._decided(connection, FirstBytes.OTHER)

    def _look(self, connection: socket.socket) -> None:
        try:
            data = connection.recv(MAX_PEEK, socket.MSG_PEEK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._forget(connection)
            self._gone(connection)
            return
        wanted = what_is_wanted(data)
        if wanted is FirstBytes.MORE and len(data) > self._seen[connection]:
            # To be told when there is more than was seen, and not again and again of the same.
            self._seen[connection] = len(data)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, len(data) + 1)
            return
        # With nothing new the client has ended its half, and will say no more.
        self._forget(connection)
        self._decided(connection, FirstBytes.OTHER if wanted is FirstBytes.MORE else wanted)

    def _forget(self, connection: socket.socket) -> None:
        seen = self._seen.pop(connection)
        self._deadlines.stop(connection)
        self._loop.remove_reader(connection)
        if seen:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
