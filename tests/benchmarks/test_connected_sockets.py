"""What the kernel tells of a process's connections, beside what was sent on them."""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack

import pytest

from benchmarks.connected_sockets import Connected, connected


@pytest.mark.parametrize(
    ("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
)
def test_connections_and_bytes(family: socket.AddressFamily, address: str) -> None:
    """Those of the named processes to the named port count, with what came on all of them."""
    with ExitStack() as stack:
        try:
            server = stack.enter_context(socket.create_server((address, 0), family=family))
        except OSError:
            pytest.skip(f"this machine has no {address}")
        port = server.getsockname()[1]
        for count in (1_000, 2_000):
            client = stack.enter_context(socket.create_connection((address, port)))
            accepted = stack.enter_context(server.accept()[0])
            accepted.sendall(bytes(count))
            client.sendall(b"what is sent does not count")
            client.recv(count, socket.MSG_WAITALL)
        own = os.getpid()
        assert connected([own], port) == Connected(count=2, received=3_000)
        assert connected([own], port + 1 if port < 65_535 else port - 1).count == 0
        assert connected([], port) == Connected(count=0, received=0)
