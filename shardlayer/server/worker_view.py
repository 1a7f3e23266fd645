"""What an application may know of the server that it runs on."""

from __future__ import annotations

from typing import Protocol

from shardlayer.server.scope_part import ScopePart


class ViewedServer(Protocol):
    """The server, as it is viewed: `server.Server`."""

    is_draining: bool
    held: int
    capacity: int

    @property
    def is_full(self) -> bool: ...

    @property
    def is_joined(self) -> bool: ...

    def drain(self) -> None: ...

    def warn_of_blocking(self) -> None: ...


class WorkerView(ScopePart):
    """Satisfies `shardlayer.core.types.Worker`."""

    __slots__ = ("_server",)

    def __init__(self, server: ViewedServer) -> None:
        self._server = server

    @property
    def is_draining(self) -> bool:
        """Whether it has begun to stop."""
        return self._server.is_draining

    @property
    def held(self) -> int:
        """Connections that it holds now."""
        return self._server.held

    @property
    def capacity(self) -> int:
        """Connections that it may hold; 0 is no limit."""
        return self._server.capacity

    @property
    def is_full(self) -> bool:
        """Whether it holds as many as it may."""
        return self._server.is_full

    @property
    def is_joined(self) -> bool:
        """Whether its balancer has it, or had it a moment ago; True if it needs none."""
        return self._server.is_joined

    def drain(self) -> None:
        """Begin to stop as on SIGTERM, unless it has begun."""
        self._server.drain()

    def warn_of_blocking(self) -> None:
        """Log where the event loop is blocked, from now on; for development."""
        self._server.warn_of_blocking()
