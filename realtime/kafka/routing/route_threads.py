"""A thread that calls a route, and its database connections: closed once they are old, or lost.

Django does that around each request. A pool has no requests, so nobody else does it: calls that use
a lost connection would fail for good. Connections belong to a thread. A route uses those of its own
thread, and with Django's asynchronous ORM those of the thread of `sync_to_async`, which all routes
of the process share. There one call must not close what another reads rows over, or has a
transaction in. So what is only old is closed there while no call is under way.
"""

from __future__ import annotations

import asyncio
import logging
import threading
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
    """Closes of one kind in the thread of `sync_to_async`, which does one thing after the other.

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


_old = SharedThread()
_lost = SharedThread()


class CallsUnderWay:
    """The threads whose calls of a route are under way, and may use the shared thread.

    A thread that was left behind counts until it ends: its calls may read rows until then.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads: set[threading.Thread] = set()

    def begin(self, close: Callable[[bool], None]) -> None:
        """Note that calls of this thread begin, once a close is ahead of whatever they ask for.

        Args:
            close: Is told whether no other thread's calls are under way. None begin meanwhile.
        """
        me = threading.current_thread()
        with self._lock:
            for thread in list(self._threads):
                if not thread.is_alive():
                    self._threads.discard(thread)
            close(self._threads <= {me})
            self._threads.add(me)

    def end(self) -> None:
        """Note that this thread's calls ended. It has no lock: a thread is interrupted anywhere."""
        self._threads.discard(threading.current_thread())


_under_way = CallsUnderWay()


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

    def begin(self) -> None:
        """Close connections that failed, or outlived CONN_MAX_AGE, before calls of a route.

        Those of the asynchronous ORM are closed before its next call, without a wait. While other
        threads' calls are under way, only those are that are lost.
        """
        _quietly(close_old_connections)
        _under_way.begin(self._close_shared)

    def end(self) -> None:
        """Note that the calls ended; not to be called if something of them may still run.

        Then they are under way until the thread ends.
        """
        _under_way.end()

    def _close_shared(self, is_alone: bool) -> None:
        if not self._has_waited:
            return
        if is_alone:
            _quietly(partial(_old.close, close_old_connections))
        else:
            self.close_lost_of_loop()

    def close_lost(self) -> None:
        """Close connections that are lost, after a call that failed, as `begin` does."""
        _close_lost()
        self.close_lost_of_loop()

    def close_lost_of_loop(self) -> None:
        """Close those of the asynchronous ORM that are lost, after a call of the thread's loop."""
        if self._has_waited:
            _quietly(partial(_lost.close, _close_lost))


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
