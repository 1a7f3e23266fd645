"""What becomes of clients whose sign-in ends: one watch for all clients of an event loop.

It follows who was signed out elsewhere, looks now and then whether sessions still stand, and sees
to what expires.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import deque
from typing import Protocol
from weakref import WeakKeyDictionary

from realtime.access.revocation_log import RevocationLog
from realtime.access.revocations import Revocation
from realtime.clients.room_looks import RoomLooks
from realtime.clients.signed_in_clients import SignedInClients
from realtime.conf import conf
from shardlayer import Node, ShardedChannelLayer, Throttle

logger = logging.getLogger(__name__)

LOOK_INTERVAL = 1.0  # seconds between two looks for what is due
RECHECK_SPREAD = 0.25  # of the interval, so that those who came together are not read together


class Watched(Protocol):
    """A client as its watch sees it; hashed by identity."""

    def __hash__(self) -> int:
        """Tell clients apart."""

    def revoked(self, entry: Revocation) -> None:
        """End what a revocation takes back."""

    def look(self, now: float) -> None:
        """See to what is due, and plan when to look again."""

    async def read_session(self) -> None:
        """See whether the session still stands; raises what the database raises."""


class SignInWatch:
    """Watches the clients of one event loop. The owner must await `aclose()`.

    Attributes:
        clients: Those that somebody is signed in on.
        log: Who was signed out.
        looks: At the rooms of clients whose session stands.
    """

    def __init__(self, layer: ShardedChannelLayer, node: Node) -> None:
        settings = conf()
        self.clients: SignedInClients[Watched] = SignedInClients()
        self._recheck = settings.session_recheck
        self._tasks = layer.branch_tasks()
        self.looks = RoomLooks(self._tasks)
        self._complaint = Throttle()
        self._sessions: deque[Watched] = deque()  # to be read; each client once
        self._has_sessions = asyncio.Event()
        self.log = RevocationLog(
            layer,
            node,
            tasks=self._tasks,
            lifetime=settings.revocation_lifetime,
            listener=self._revoked,
        )
        self._tasks.supervise(self._read_sessions, "realtime: read sessions again")
        self._tasks.repeat(self._look, "realtime: look after sign-ins", pause=lambda: LOOK_INTERVAL)

    def plan_recheck(self, client: Watched, read_at: float) -> None:
        """Have the session of a client that is signed in read again, if the settings say so.

        One that was read long ago, by another worker, is read soon, but not with all others.
        """
        if self._recheck and client in self.clients:
            now, wait = time.time(), self._recheck
            due = read_at + wait * random.uniform(1 - RECHECK_SPREAD, 1)  # noqa: S311 (jitter)
            soon = now + wait * random.uniform(0, RECHECK_SPREAD)  # noqa: S311 (jitter)
            self.clients.plan(client, max(due, soon))

    def recheck(self, client: Watched) -> None:
        """Have a client's session read soon."""
        self._sessions.append(client)
        self._has_sessions.set()

    async def aclose(self) -> None:
        """Stop watching."""
        await self.log.aclose()
        await self._tasks.aclose()

    def _revoked(self, entry: Revocation, skew: float) -> None:
        # Not at once: this comes from the midst of a delivery, and who is put out leaves rooms.
        asyncio.get_running_loop().call_soon(self._revoke, entry, skew)

    def _revoke(self, entry: Revocation, skew: float) -> None:
        for client in self.clients.concerned(entry, skew):
            client.revoked(entry)

    async def _look(self) -> None:
        now = time.time()
        for client in self.clients.due(now):
            client.look(now)

    async def _read_sessions(self) -> None:
        """Read the sessions that are to be read, one after another, however many are due."""
        while True:
            self._has_sessions.clear()
            while self._sessions:
                client = self._sessions.popleft()
                if client not in self.clients:
                    continue
                try:
                    await client.read_session()
                except Exception as error:  # of a database that is away, say
                    if self._complaint.is_due():
                        logger.warning("A session could not be read again.", exc_info=error)
                    self.plan_recheck(client, time.time())
            await self._has_sessions.wait()


_watches: WeakKeyDictionary[Node, SignInWatch] = WeakKeyDictionary()


def watch_of(layer: ShardedChannelLayer, node: Node) -> SignInWatch:
    """Return the watch of a node, begun on first use."""
    watch = _watches.get(node)
    if watch is None:
        watch = _watches[node] = SignInWatch(layer, node)
    return watch


async def end_watch(node: Node) -> None:
    """End the watch of a node, if it has one; before its layer is closed."""
    watch = _watches.pop(node, None)
    if watch is not None:
        await watch.aclose()
