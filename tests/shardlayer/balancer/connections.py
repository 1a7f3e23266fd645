"""TCP connections between a test and itself."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from tests.waiting import PATIENCE


@contextmanager
def tcp_pairs(count: int = 1) -> Iterator[list[tuple[socket.socket, socket.socket]]]:
    """Yield a client's end and the accepted end of so many connections; closed in the end."""
    pairs = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        for _ in range(count):
            client = socket.create_connection(listener.getsockname(), timeout=PATIENCE)
            pairs.append((client, listener.accept()[0]))
    try:
        yield pairs
    finally:
        for pair in pairs:
            for end in pair:
                end.close()
