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
from channels import db
from django.db import connections

from shardlayer.core.optional_packages import needs_extra

with needs_extra("server"):  # `channels.testing` imports Daphne, whatever is used of it
    from channels import testing

_asgiref: Any = asgiref_testing.ApplicationCommunicator  # its methods are not typed


class _Keeper:
    """Has Channels close no connections while applications run. Thread-safe.

    Nor does it later those that are in a transaction: an application that is cancelled ends before
    its handler does, in whose thread the last thing is to close what is old. Outside of tests no
    transaction is open then.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()  # the collector may end one while another begins
        self._close: Any = None  # Django's
        self.running = 0  # applications

    def begin(self) -> None:
        with self._lock:
            if self._close is None:
                self._close, db.close_old_connections = db.close_old_connections, self.close_old
            self.running += 1

    def end(self) -> None:
        with self._lock:
            self.running -= 1

    def close_old(self, **kwargs: Any) -> None:
        """Stand in for Django's `close_old_connections`."""
        if self.running:
            return
        if not any(one.in_atomic_block for one in connections.all(initialized_only=True)):
            self._close(**kwargs)


_keeper = _Keeper()


class ApplicationCommunicator(testing.ApplicationCommunicator):  # type: ignore[misc]
    """Channels' ApplicationCommunicator, under which the test's connections stay open."""

    _kept: asyncio.Future[Any] | None = None

    @property
    def future(self) -> asyncio.Future[Any]:
        """The application's task, begun on first use."""
        future: asyncio.Future[Any] = super().future
        if future is not self._kept:  # it was begun just now, and has not run yet
            self._kept = future
            _keeper.begin()
            end = weakref.finalize(
                self, _keeper.end
            )  # once, also if its loop never runs to its end
            future.add_done_callback(lambda _: end())
        return future

    async def send_input(self, message: dict[str, Any]) -> None:
        """Send a message to the application."""
        # Not Channels' own, which puts back what it found: several at once, the wrong one.
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
