"""Loopback ports: which are free, and which answer."""

from __future__ import annotations

import os
import secrets
import socket
import sys
import weakref

LOOPBACK = "127.0.0.1"
CONNECT_TIMEOUT = 1.0  # seconds
# Linux gives outgoing connections 32768 and up, others 49152; a Redis Cluster's nodes listen on a
# second port, 10,000 above the first.
CHOICE = range(10_000, 20_000)


def free_port(owner: object | None = None) -> int:
    """Return a loopback port, by chance one of many, that no other process is given as well.

    It is this process's until it ends, or until the owner is collected, if there is one. So a
    server that was stopped finds it free again, and until one listens connections are refused.
    On Linux; elsewhere nothing reserves it, and whoever binds it must be ready to find it taken.
    """
    while True:
        # Not by `random`, which tests seed: two that run side by side would ask for the same.
        port = secrets.choice(CHOICE)
        if reserve(port, owner):
            return port


def reserve(port: int, owner: object | None = None) -> bool:
    """Keep a loopback port as `free_port` does; False if somebody else has it, or had it just now.

    A socket is bound to it that never listens. Servers bind it beside that socket, with
    SO_REUSEADDR as all of them do, and this function, which goes without, does not.
    """
    with socket.socket() as holder:
        try:
            holder.bind((LOOPBACK, port))
        except OSError:
            return False
        if sys.platform == "linux":  # others let nobody bind what is bound
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            descriptor = holder.detach()
            if owner is not None:
                weakref.finalize(owner, os.close, descriptor)
        return True


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
