"""Connections that have subscribed to nothing yet, and how long they may take.

One timer looks after all of them, and only while there are any: most connections subscribe with
the handshake, or right after it, and never come into its sight.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol
from weakref import WeakKeyDictionary

from shardlayer import Deadlines, Node

logger = logging.getLogger(__name__)

LOOKS = 10  # that are taken within the time that a connection has


class Newcomer(Protocol):
    """A connection, as it is seen here: `session.ClientSession`."""

    def close_unused(self) -> None: ...


class Newcomers:
    """The connections of one event loop that have subscribed to nothing.

    Args:
        patience: Seconds that each has; it may be a tenth more.
    """

    def __init__(self, patience: float) -> None:
        self._pause = patience / LOOKS
        self._deadlines: Deadlines[Newcomer] = Deadlines(patience)
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._deadlines)

    def add(self, newcomer: Newcomer) -> None:
        """Give a connection its time, from now on."""
        self._deadlines.start(newcomer, asyncio.get_running_loop().time())
        if self._timer is None:
            self._look_later()

    def remove(self, newcomer: Newcomer) -> None:
        """Forget a connection: it has subscribed, or is gone. Again is no error."""
        self._deadlines.stop(newcomer)

    def _look_later(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._pause, self._look)

    def _look(self) -> None:
        """Close those whose time is over."""
        overdue = self._deadlines.take_overdue(asyncio.get_running_loop().time())
        self._timer = None
        if len(self._deadlines):
            self._look_later()
        for newcomer in overdue:
            try:
                newcomer.close_unused()
            except Exception:  # of one connection: the others keep their limit
                logger.exception("A client that subscribed to no room could not be closed.")


_of_nodes: WeakKeyDictionary[Node, tuple[float, Newcomers]] = WeakKeyDictionary()


def newcomers_of(node: Node, patience: float) -> Newcomers:
    """Return those of a node, so of one event loop, that have so many seconds."""
    known = _of_nodes.get(node)
    if known is None or known[0] != patience:
        known = _of_nodes[node] = patience, Newcomers(patience)
    return known[1]
