"""When old database connections are to be closed before a message is handled.

Channels calls Django's `close_old_connections` before every message, as Django does around every
request: a connection that failed, or that outlived CONN_MAX_AGE, must not be used again. Django's
connections are thread-local. An asynchronous consumer uses the database in the thread of
`sync_to_async` (asynchronous ORM calls and `database_sync_to_async` go there too). So the call
costs a hop to that thread and back: more than all the rest of handling a message.

What the hop would do can be seen from outside. Django tells of every connection that is opened
(`connection_created`, sent in the thread that opens it), and `close_if_unusable_or_obsolete`
decides by plain attributes of the connection. So the event loop's thread reads those, and hops
only if there is something to do in the thread that would be hopped to:

- Reading them while another thread changes them is harmless. A connection that is due a moment
  later is found before the next message. One that is in use, or was just closed, is judged again by
  Django itself, in its own thread.
- Which thread `sync_to_async` uses for a consumer is asgiref's to decide: the one of the process,
  of a ThreadSensitiveContext, or of the `async_to_sync` that runs the loop. It does not change
  while the consumer runs, but only the hop itself can tell. Until a consumer's first hop every
  thread's connections count; from then on those of its own thread.
- A connection that was opened before this module was imported is not known. The module is imported
  with the application, in its main thread, before `sync_to_async` has a thread.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any
from weakref import ReferenceType, ref

from asgiref.sync import sync_to_async
from channels import db
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

_lock = threading.Lock()

# Every connection object that lives, with the thread that it belongs to. Replaced and never
# changed, so that it can be read without the lock.
_known: tuple[tuple[ReferenceType[BaseDatabaseWrapper], int], ...] = ()


def remember_connection(connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    """Receive Django's `connection_created`: also when an object connects again."""
    global _known
    with _lock:
        others = tuple(entry for entry in _known if entry[0]() not in (None, connection))
        _known = (*others, (ref(connection), threading.get_ident()))


connection_created.connect(remember_connection)


def is_due(connection: BaseDatabaseWrapper) -> bool:
    """Tell whether `close_if_unusable_or_obsolete` would do anything to a connection.

    It would close it, or check whether it still works, or ask for a health check
    (CONN_HEALTH_CHECKS) before its next use. May be called from any thread.
    """
    if connection.connection is None or _is_never_closed(connection):
        return False
    if connection.in_atomic_block:
        return False  # of a test: no transaction outlasts a message, and closing would end it
    health: Any = connection  # its attributes are missing in the stubs
    return (
        connection.errors_occurred
        or connection.autocommit != connection.settings_dict["AUTOCOMMIT"]
        or (connection.close_at is not None and time.monotonic() >= connection.close_at)
        or (health.health_check_enabled and health.health_check_done)
    )


def _is_never_closed(connection: BaseDatabaseWrapper) -> bool:
    """Tell whether Django leaves a connection open whatever comes: closing SQLite's in memory, as
    tests have it, would delete the database.
    """
    sqlite: Any = connection
    return connection.vendor == "sqlite" and bool(sqlite.is_in_memory_db())


def a_connection_is_due(thread: int | None) -> bool:
    """Tell whether a connection of a thread is due, or of any thread if it is None."""
    for reference, owner in _known:
        if thread is None or owner == thread:
            connection = reference()
            if connection is not None and is_due(connection):
                return True
    return False


def _close_old_connections() -> int:
    # Looked up now and there: Channels' test communicators replace it, or it would close the
    # connection that a test's transaction is in.
    db.close_old_connections()
    return threading.get_ident()


aclose_old_connections: Callable[[], Any] = sync_to_async(_close_old_connections)
"""Close old connections in the thread of `sync_to_async`, and return the thread's ident."""


class OldConnections:
    """Closes the old connections of one consumer that is not one of ours. Made for each.

    `AsyncConsumer` does the same by itself.
    """

    __slots__ = ("_thread",)

    def __init__(self) -> None:
        self._thread: int | None = None  # of the consumer's synchronous code, once it is known

    async def close(self) -> None:
        """Close what failed or outlived CONN_MAX_AGE; to be awaited before the database is used."""
        if a_connection_is_due(self._thread):
            self._thread = await aclose_old_connections()
