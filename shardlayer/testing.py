"""Communicators for tests whose consumers use the database.

A synchronous consumer closes old database connections before and after each message (Channels'
`database_sync_to_async`). In a test they are the test's own, with its transaction: closed, they
are gone ("Cannot operate on a closed database", "connection already closed"). Channels'
communicators prevent it while the test is inside one of their calls. But a consumer goes on after
it has sent its answer, and it handles what its groups are sent whenever that comes. These
communicators prevent it for as long as the application runs. All else is as in `channels.testing`.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from typing import Any

from asgiref import testing as asgiref_testing
from channels import db, testing

_asgiref: Any = asgiref_testing.ApplicationCommunicator  # its methods are not typed


class _Keeper:
    """Has Channels close no connections while applications run. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # the collector may end one while another begins
        self._running = 0
        self._close: Any = None

    def begin(self) -> None:
        with self._lock:
            if not self._running:
                self._close, db.close_old_connections = db.close_old_connections, _keep
            self._running += 1

    def end(self) -> None:
        with self._lock:
            self._running -= 1
            if not self._running:
                db.close_old_connections = self._close


def _keep(**kwargs: Any) -> None:
    """Stand in for Django's `close_old_connections`."""


_keeper = _Keeper()


class ApplicationCommunicator(testing.ApplicationCommunicator):  # type: ignore[misc]
    """Channels' ApplicationCommunicator, under which the test's connections stay open."""

    @property
    def future(self) -> asyncio.Future[Any]:
        """The application's task, begun on first use."""
        if self._future is not None:
            begun: asyncio.Future[Any] = self._future
            return begun
        _keeper.begin()
        end = weakref.finalize(self, _keeper.end)  # once, also if its loop is never run to its end
        future: asyncio.Future[Any] = super().future
        future.add_done_callback(lambda _: end())
        return future

    async def send_input(self, message: dict[str, Any]) -> None:
        """Send a message to the application."""
        # Not Channels' own, which would put back what it found, and several at once the wrong one.
        await _asgiref.send_input(self, message)

    async def receive_output(self, timeout: float = 1) -> dict[str, Any]:  # noqa: ASYNC109
        """Return the application's next message, waited for at most so many seconds."""
        message: dict[str, Any] = await _asgiref.receive_output(self, timeout)
        return message


class HttpCommunicator(ApplicationCommunicator, testing.HttpCommunicator):  # type: ignore[misc]
    """Channels' HttpCommunicator, under which the test's connections stay open."""


class WebsocketCommunicator(
    ApplicationCommunicator,
    testing.WebsocketCommunicator,  # type: ignore[misc]
):
    """Channels' WebsocketCommunicator, under which the test's connections stay open."""
