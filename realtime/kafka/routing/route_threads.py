"""A thread that calls a route, and its database connections: closed once they are old, or lost.

Django does that around each request. A pool has no requests, so nobody else does it: calls that use
a lost connection would fail for good. Connections belong to a thread. A route uses those of its own
thread, and with Django's asynchronous ORM those of the thread of `sync_to_async`, which all routes
of the process share.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeVar

from asgiref.sync import SyncToAsync
from django.db import InterfaceError, OperationalError, close_old_connections, connections

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

LOST = (OperationalError, InterfaceError)  # what is raised where a connection was lost, too


class SharedThread:
    """The thread of `sync_to_async`, which does one thing after the other.

    A database that is silent holds it for as long as its driver waits. So nobody waits for a close
    here: what a route asks the thread for afterwards comes behind it anyway. And no other close is
    begun meanwhile: the one that is waited for will find what others would.
    """

    def __init__(self) -> None:
        self._closing: Future[None] | None = None

    def close(self, close: Callable[[], Any]) -> None:
        """Have the thread close connections, unless it is to do so already."""
        if self._closing is None or self._closing.done():
            self._closing = SyncToAsync.single_thread_executor.submit(_quietly, close)


_shared = SharedThread()


class RouteThread:
    """What a thread has for the calls of a route: a loop, and database connections.

    Nothing is raised if a connection can't be closed: Django has let go of it then.

    Args:
        runner: Has a loop once something is waited for.
    """

    def __init__(self, runner: asyncio.Runner) -> None:
        self._runner = runner
        self._has_waited = False  # for a call that may have used the asynchronous ORM

    def wait_for(self, call: Coroutine[Any, Any, Result]) -> Result:
        """Run what a route's call has to wait for.

        Raises:
            BaseException: What it raised.
        """
        self._has_waited = True
        return self._runner.run(call)

    def close_old(self) -> None:
        """Close connections that failed, or outlived CONN_MAX_AGE, wherever calls have them.

        Those of the asynchronous ORM are closed before its next call, without a wait.
        """
        _quietly(close_old_connections)
        if self._has_waited:
            _quietly(partial(_shared.close, close_old_connections))

    def close_lost(self) -> None:
        """Close connections that are lost, after a call that failed, as `close_old` does."""
        _close_lost()
        self.close_lost_of_loop()

    def close_lost_of_loop(self) -> None:
        """Close those of the asynchronous ORM that are lost, after a call of the thread's loop."""
        if self._has_waited:
            _quietly(partial(_shared.close, _close_lost))


def _close_lost() -> None:
    for connection in connections.all(initialized_only=True):
        _quietly(partial(_close_if_lost, connection))


def _close_if_lost(connection: Any) -> None:
    """Do what Django does about errors, and let a connection live that is good, but old.

    Another call may be reading rows over it, a chunk at a time. Of one that could not be opened
    nothing is asked: Django's backends need not bear it.
    """
    if connection.connection is None:
        return
    if connection.errors_occurred and not connection.in_atomic_block:
        if connection.is_usable():
            connection.errors_occurred = False
        else:
            connection.close()


def _quietly(close: Callable[[], Any]) -> None:
    try:
        close()
    except Exception:
        logger.warning("A database connection could not be closed.", exc_info=True)
