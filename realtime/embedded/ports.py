"""Loopback ports: which are free, and which answer."""

from __future__ import annotations

import socket

LOOPBACK = "127.0.0.1"
CONNECT_TIMEOUT = 1.0  # seconds


def free_port() -> int:
    """Return a loopback port that is free now.

    Nothing reserves it: whoever binds it must be ready to find it taken and ask again.
    """
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def is_free(port: int) -> bool:
    """Say whether a server could listen on this loopback port now.

    Connections of an earlier server that linger in TIME_WAIT do not count, as they do not for
    the servers started here (SO_REUSEADDR).
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def answers(port: int) -> bool:
    """Say whether something accepts connections on this loopback port."""
    try:
        socket.create_connection((LOOPBACK, port), timeout=CONNECT_TIMEOUT).close()
    except OSError:
        return False
    return True
