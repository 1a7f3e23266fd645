"""A listening TCP port: accepts what waits, so many at a time."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from contextlib import suppress

from shardlayer.aio.throttled_log import ThrottledLog
from shardlayer.balancer.balancer_counters import BalancerCounters
from shardlayer.core.exceptions import ShardLayerError

logger = logging.getLogger(__name__)

AT_ONCE = 64  # connections, before others get the loop
PAUSE = 0.2  # seconds after accepting failed, for want of descriptors mostly


class ListenError(ShardLayerError):
    """The balancer can't listen on its port."""


class AcceptLoop:
    """Accepts connections and passes them on; belongs to one event loop.

    Args:
        host: Name or address to listen on.
        port: TCP port; 0 is any that is free.
        arrived: Gets the connections that came, in order.

    Raises:
        ListenError: The port is taken, or the host is no address of this machine.
    """

    def __init__(
        self,
        host: str,
        port: int,
        backlog: int,
        counters: BalancerCounters,
        arrived: Callable[[list[socket.socket]], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._counters = counters
        self._backlog = backlog
        self._arrived = arrived
        self._pause: asyncio.TimerHandle | None = None
        self._complain = ThrottledLog(logger, logging.ERROR)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            # With SO_REUSEADDR, so that a balancer that is started again has its port at once.
            self._socket = socket.create_server((host, port), family=family, backlog=backlog)
        except OSError as error:
            raise ListenError(f"Can't listen on {host} port {port}: {error.strerror}.") from error
        self._socket.setblocking(False)
        self.address: tuple[str, int] = self._socket.getsockname()[:2]
        self._loop.add_reader(self._socket, self._accept)

    def accept_rest(self) -> None:
        """Accept what waits, for the last time before `close`."""
        connections: list[socket.socket] = []
        with suppress(OSError):  # none waits any more, or there are too many open files
            while len(connections) <= self._backlog:
                connections.append(self._socket.accept()[0])
        self._pass_on(connections)

    def close(self) -> None:
        """Stop listening. What waits to be accepted is reset by the kernel."""
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._socket)
        self._socket.close()

    def _accept(self) -> None:
        connections: list[socket.socket] = []
        try:
            while len(connections) < AT_ONCE:
                connections.append(self._socket.accept()[0])
        except (BlockingIOError, ConnectionAbortedError):
            pass
        except OSError as error:
            self._counters.accept_errors += 1
            self._complain("Connections can't be accepted: %s", error)
            self._loop.remove_reader(self._socket)
            self._pause = self._loop.call_later(PAUSE, self._go_on)
        self._pass_on(connections)

    def _pass_on(self, connections: list[socket.socket]) -> None:
        self._counters.accepted += len(connections)
        if connections:
            self._arrived(connections)

    def _go_on(self) -> None:
        self._pause = None
        self._loop.add_reader(self._socket, self._accept)
