"""Loopback ports: which are free, and which answer."""

from __future__ import annotations

import secrets
import socket

LOOPBACK = "127.0.0.1"
CONNECT_TIMEOUT = 1.0  # seconds
CHOICE = range(10_000, 32_768)  # Linux gives outgoing connections 32768 and up, others 49152


def free_port() -> int:
    """Return a loopback port that is free now, by chance one of many.

    Nothing reserves it: whoever binds it must be ready to find it taken and ask again. It is none
    of those that the kernel gives to outgoing connections (and to a bind to port 0), so that a
    server that was stopped finds it free again.
    """
    while True:
        # Not by `random`, which tests seed: two that run side by side would ask for the same.
        port = secrets.choice(CHOICE)
        if is_free(port):
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
