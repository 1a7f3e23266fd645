"""Takes a connection that another process has accepted."""

from __future__ import annotations

import logging
import os
import socket
from typing import Any

from shardlayer.server.server_counters import counters

logger = logging.getLogger(__name__)


def adopt(reactor: Any, factory: Any, descriptor: int, family: int) -> None:
    """Serve a connection as if a port with this factory had accepted it.

    The descriptor is closed in any case: the transport works on one of its own. A client that is
    gone already is let go without a word.
    """
    try:
        os.set_blocking(descriptor, False)
        # Asked here first: where the answer is that the client is gone, Twisted would leave it to
        # the collector to close the descriptor of its own.
        connection = socket.socket(family, socket.SOCK_STREAM, 0, fileno=descriptor)
        try:
            connection.getpeername()
        finally:
            connection.detach()
        reactor.adoptStreamConnection(descriptor, family, factory)
        counters.adopted += 1
    except OSError as error:
        logger.debug("A connection ended before it was adopted: %s", error)
    except Exception:  # of one connection: the next ones are adopted all the same
        logger.exception("A connection could not be adopted.")
    finally:
        os.close(descriptor)
