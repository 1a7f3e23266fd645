"""Clients that leave within a request whose time is over."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path

from tests.server.conftest import LOOPBACK
from tests.server.process import ServerProcess

HALF = b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 9\r\n\r\nhalf"


def test_nothing_is_refused_to_who_is_gone(tmp_path: Path) -> None:
    """One leaves every 20 ms, over two looks at the limits: some just before one."""
    options = (*LOOPBACK, "--http-request-timeout", "1")
    with ServerProcess(tmp_path, *options) as server, ExitStack() as stack:
        for _ in range(3):
            clients = [stack.enter_context(server.connect()) for _ in range(100)]
            for client in clients:
                client.sendall(HALF)
            time.sleep(1.0)
            for client in clients:
                client.close()
                time.sleep(0.02)
        assert server.errors() == []
