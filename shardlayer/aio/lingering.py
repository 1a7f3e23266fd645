"""Clients that were refused, and get some time to read why and to close.

A close with unread bytes would reset the connection, and the answer with it. So whoever refuses
waits for the client. That takes a file for each, so their number is limited: when there is one too
many, the one that has had the most time is cut off.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Generic, TypeVar

from shardlayer.aio.deadlines import Deadlines

logger = logging.getLogger(__name__)

MAX_LINGERING = 1024  # clients of a process

Item = TypeVar("Item")


class Lingering(Generic[Item]):
    """The refused clients that are not gone yet.

    Args:
        cut_off: Ends a client's connection. When it has ended, somebody calls `end`.
        patience: Seconds that a client gets.
        most: How many clients get that time at once, at least 1.
    """

    def __init__(
        self, cut_off: Callable[[Item], None], *, patience: float, most: int = MAX_LINGERING
    ) -> None:
        self._end = cut_off
        self._most = most
        self._deadlines: Deadlines[Item] = Deadlines(patience)
        self._cut: set[Item] = set()  # whose connections are not lost yet

    def __len__(self) -> int:
        return len(self._deadlines) + len(self._cut)

    def begin(self, item: Item, now: float) -> None:
        """Give a client its time, from now on, by `time.monotonic()`."""
        self._deadlines.start(item, now)
        if len(self._deadlines) > self._most:
            self.displace()

    def end(self, item: Item) -> None:
        """Forget a client, which is gone. Again is no error, nor is it for any other."""
        self._deadlines.stop(item)
        self._cut.discard(item)

    def displace(self) -> bool:
        """Cut off the client that has had the most time; return whether there was one."""
        item = self._deadlines.take_first()
        if item is None:
            return False
        self._cut_off(item)
        return True

    def check(self, now: float) -> None:
        """Cut off those that have had their time, by `time.monotonic()`."""
        for item in self._deadlines.take_overdue(now):
            self._cut_off(item)

    def _cut_off(self, item: Item) -> None:
        self._cut.add(item)
        try:
            self._end(item)
        except Exception:  # of one client: the others get to their end
            logger.exception("A refused client could not be cut off")
