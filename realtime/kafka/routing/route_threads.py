"""A thread that calls a route, and its database connections: closed once they are old, or lost.

Django does that around each request. A pool has no requests, so nobody else does it: calls that use
a lost connection would fail for good. Connections belong to a thread. A route uses those of its own
thread, and with Django's asynchronous ORM those of the thread of `sync_to_async`, which all routes
of the process share. There one call must not close what another reads rows over, or has a
transaction in. So what is only old is closed there while no call is under way. Where calls always
overlap, new ones wait now and then until those under way have ended.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from functools import partial
from typing import Any, ClassVar, TypeVar

from asgiref.sync import SyncToAsync
from django.db import InterfaceError, OperationalError, close_old_connections, connections

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

LOST = (OperationalError, InterfaceError)  # what is raised where a connection was lost, too

LULL_INTERVAL = 60.0  # seconds without a lull: one in which no call of a route is under way
LULL_WAIT = 3.0  # seconds in which no calls begin, so that those under way may end
LULL_LOOK = 0.01  # seconds between two looks at whether they ended


class SharedThread:
    """Closes of one kind in the thread of `sync_to_async`, which does one thing after the other.

    A database that is silent holds it for as long as its driver waits. So nobody waits for a close
    here: what a route asks the thread for afterwards comes behind it anyway. And no other close is
    begun meanwhile: the one that is waited for will find what others would.
    """

    is_used: ClassVar[bool] = False  # maybe, by a call of a route that had to wait

    def __init__(self) -> None:
        self._closing: Future[None] | None = None

    def close(self, close: Callable[[], Any]) -> None:
        """Have the thread close connections, unless it is to do so already."""
        if self._closing is None or self._closing.done():
            self._closing = SyncToAsync.single_thread_executor.submit(_quietly, close)


_old = SharedThread()
_lost = SharedThread()


class CallsUnderWay:
    """Counts jobs whose calls of a route may use the shared thread; in the pool's loop alone.

    A call that is left behind does not count: nobody uses its result. It may lose its connection.
    """

    def __init__(self) -> None:
        self._count = 0
        self._last_lull = time.monotonic()  # or when one was last waited for in vain
        self._gives_up: float | None = None  # when the wait for a lull is in vain

    async def lull(self) -> None:
        """Wait for a moment without calls, if the last is LULL_INTERVAL ago; at most LULL_WAIT.

        All jobs that would begin meanwhile wait as well. Those under way need nothing of them.
        """
        while self._is_lull_due():
            now = time.monotonic()
            if self._gives_up is None:
                self._gives_up = now + LULL_WAIT
            elif now >= self._gives_up:
                self._begin_interval()
                return
            await asyncio.sleep(LULL_LOOK)

    def begin(self) -> None:
        """Note that a job begins, once a close is ahead of whatever its calls ask for.

        Connections of the asynchronous ORM are closed that failed, or outlived CONN_MAX_AGE; while
        other calls are under way, only those that are lost. Nobody waits until they are.
        """
        if self._count:
            _close_shared(_lost, _close_lost)
        else:
            self._begin_interval()
            _close_shared(_old, close_old_connections)
        self._count += 1

    def end(self) -> None:
        """Note that a job ended, or was left behind."""
        self._count -= 1

    def _is_lull_due(self) -> bool:
        is_due = time.monotonic() - self._last_lull >= LULL_INTERVAL
        return is_due and self._count > 0 and SharedThread.is_used

    def _begin_interval(self) -> None:
        self._last_lull = time.monotonic()
        self._gives_up = None


class RouteThread:
    """What a thread has for the calls of a route: a loop, and database connections.

    Nothing is raised if a connection can't be closed: Django has let go of it then.

    Args:
        runner: Has a loop once something is waited for.
    """

    def __init__(self, runner: asyncio.Runner) -> None:
        self._runner = runner

    def wait_for(self, call: Coroutine[Any, Any, Result]) -> Result:
        """Run what a route's call has to wait for.

        Raises:
            BaseException: What it raised.
        """
        SharedThread.is_used = True
        return self._runner.run(call)

    def close_old(self) -> None:
        """Close the thread's own connections that failed, or outlived CONN_MAX_AGE."""
        _quietly(close_old_connections)

    def close_lost(self) -> None:
        """Close connections that are lost, own and shared ones, after a call that failed."""
        _close_lost()
        self.close_lost_of_loop()

    def close_lost_of_loop(self) -> None:
        """Close those of the asynchronous ORM that are lost, after a call of the thread's loop."""
        _close_shared(_lost, _close_lost)


def _close_shared(kind: SharedThread, close: Callable[[], Any]) -> None:
    if SharedThread.is_used:
        _quietly(partial(kind.close, close))


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
