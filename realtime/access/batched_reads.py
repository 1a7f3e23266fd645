"""Reads of the database in Django's thread, for many clients at once.

When a worker starts, or a deploy brings everybody back, many clients come at once, and each has to
be looked up. A hop to the thread for each, with a database connection that is opened and closed
around it (CONN_MAX_AGE is 0 by default), costs several times what the queries do. So what is asked
for while the thread is busy is read together afterwards.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Final, Generic, Self, TypeVar, cast
from weakref import WeakKeyDictionary

from channels.db import database_sync_to_async
from django.db import close_old_connections

from realtime.access.project_calls import without_stop_iteration
from shardlayer import Tasks

MOST_AT_ONCE: Final = 50  # reads; other work waits for the thread meanwhile

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


_of_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[type, Any]] = WeakKeyDictionary()


class BatchedReads(Generic[Key, Value]):
    """Reads values by their keys, for the clients of one event loop.

    Args:
        read: Returns one value, in the thread; what it raises is of its key alone.
        name: Says what is read, for whoever looks at the loop's tasks.
    """

    def __init__(self, read: Callable[[Key], Value], name: str) -> None:
        self._read = read
        self._name = name
        self._tasks = Tasks()
        self._asked: dict[Key, asyncio.Future[Value]] = {}
        self._is_reading = False

    @classmethod
    def of_running_loop(cls) -> Self:
        """Return what reads in the running event loop; of a subclass that takes no arguments."""
        made = _of_loops.setdefault(asyncio.get_running_loop(), {})
        if cls not in made:
            made[cls] = cast(Any, cls)()
        return cast(Self, made[cls])

    async def of(self, key: Key) -> Value:
        """Return a key's value, as it is after this call; raises what reading it raises.

        Of a key that is asked about by several at once each gets the same object.
        """
        future = self._asked.get(key)
        if future is None:
            future = self._asked[key] = asyncio.get_running_loop().create_future()
            if not self._is_reading:
                self._is_reading = True
                self._tasks.spawn(self._read_all(), self._name)
        return await asyncio.shield(future)  # one who goes away must not cancel the others'

    async def _read_all(self) -> None:
        futures: list[asyncio.Future[Value]] = []
        try:
            while self._asked:
                keys = list(self._asked)[:MOST_AT_ONCE]
                futures = [self._asked.pop(key) for key in keys]
                for future, found in zip(futures, await self._found(keys), strict=True):
                    if isinstance(found, Exception):
                        future.set_exception(found)
                        future.exception()  # taken note of, though whoever asked may be gone
                    else:
                        future.set_result(found)
        finally:
            self._is_reading = False
            for future in futures:
                future.cancel()  # those that have no answer, since the loop ends

    async def _found(self, keys: Sequence[Key]) -> Sequence[Value | Exception]:
        """Return the value of each key, or why it can't be known."""
        try:
            found: Sequence[Value | Exception] = await _all_of(self._read, keys)
        except Exception as error:  # of a database that is away
            return [error] * len(keys)
        return found


@database_sync_to_async  # type: ignore[untyped-decorator]
def _all_of(read: Callable[[Key], Value], keys: Sequence[Key]) -> list[Value | Exception]:
    in_thread = without_stop_iteration(read)  # which may be a project's: its sessions', say
    found: list[Value | Exception] = []
    for key in keys:
        try:
            found.append(in_thread(key))
        except Exception as error:
            found.append(error)
            close_old_connections()  # else the rest would fail with it, if the database had gone
    return found
