"""A proxy in front of a worker that hands each publication on twice."""

from __future__ import annotations

import contextlib
import math
import socket
import socketserver
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import BinaryIO

from realtime.loadtest.load_stamp import MARK


class DoublingHandler(socketserver.StreamRequestHandler):
    """One connection; its server knows the worker's port."""

    def handle(self) -> None:
        """Pass on both ways until the worker or the client ends it."""
        assert isinstance(self.server, DoublingServer)
        with (
            socket.create_connection(("127.0.0.1", self.server.worker)) as worker,
            worker.makefile("rb") as coming,
            contextlib.suppress(OSError),
        ):
            Thread(target=self._pass_on, args=[worker], daemon=True).start()
            while True:
                line = coming.readline()
                self.wfile.write(line)
                if line in {b"\r\n", b""}:
                    break
            while frame := _frame(coming):
                self.wfile.write(frame * 2 if MARK in frame else frame)

    def _pass_on(self, worker: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while some := self.connection.recv(65_536):
                worker.sendall(some)
            worker.shutdown(socket.SHUT_WR)


class DoublingServer(socketserver.ThreadingTCPServer):
    """Listens on a free port of loopback.

    Args:
        worker: The worker's port.
        most: How many connections it takes, of all that come one after the other.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, worker: int, most: float) -> None:
        self.worker = worker
        self._left = most
        super().__init__(("127.0.0.1", 0), DoublingHandler)

    def verify_request(self, request: object, client_address: object) -> bool:
        """Return whether a connection is one of the first."""
        self._left -= 1
        return self._left >= 0


def _frame(coming: BinaryIO) -> bytes:
    """Return the next frame of a server, which masks none; empty: there is none."""
    head = coming.read(2)
    if len(head) < 2:
        return b""
    size = head[1]
    if size > 125:
        more = coming.read(2 if size == 126 else 8)
        head, size = head + more, int.from_bytes(more)
    return head + coming.read(size)


@contextmanager
def doubling_proxy(worker: int, *, most: float = math.inf) -> Iterator[int]:
    """Run one in front of a worker's port for so many connections, and yield its port."""
    with DoublingServer(worker, most) as server:
        thread = Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
