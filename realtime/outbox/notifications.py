"""Hearing of commits at once: PostgreSQL's LISTEN and NOTIFY.

A notification is delivered when its transaction is committed, and only to who listens then. It
wakes the relay; what there is to do stands in the outbox alone.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from django.db import connections

from realtime.outage import Outage
from realtime.outbox.entries import NOTIFICATION
from shardlayer import Backoff, Throttle

logger = logging.getLogger(__name__)

FIRST_PAUSE = 4.0  # seconds until it is tried again; longer than a relay needs to see an outage
LONGEST_PAUSE = 10.0  # seconds


class Notifications:
    """Sets an event whenever a transaction that wrote into the outbox is committed.

    Args:
        database: The alias of the outbox's database.
        wake: The event. It is also set when it hears no more, so that the relay looks itself.
        outage: Of the database. What that explains is not said once more.

    Attributes:
        is_listening: Whether it hears now.
    """

    def __init__(self, database: str, wake: asyncio.Event, outage: Outage) -> None:
        self.is_listening = False
        self._database = database
        self._wake = wake
        self._outage = outage
        self._backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE)
        self._throttle = Throttle()

    @property
    def are_possible(self) -> bool:
        """Whether the database can tell: PostgreSQL, by psycopg 3."""
        if connections[self._database].vendor != "postgresql":
            return False
        from django.db.backends.postgresql.psycopg_any import is_psycopg3

        return bool(is_psycopg3)

    async def listen(self) -> None:
        """Listen on a connection of its own, made again whenever it is lost.

        A pooler in transaction mode can't serve it. It says no error then, and nothing is heard.
        """
        connection: Any = connections[self._database]
        lost: type[Exception] = connection.Database.Error
        while True:
            try:
                await self._listen()
            except lost as error:
                await self._pause(error)

    async def _pause(self, error: Exception) -> None:
        is_known, known = self._outage.is_on, self._outage.failures
        await asyncio.sleep(self._backoff.failed())
        if is_known or self._outage.failures != known:
            return  # the database is away, or was: the relay has said so
        if self._throttle.is_due():
            logger.warning(
                "The database can't tell of commits, so the relay polls the outbox: %s",
                str(error).strip(),
            )

    async def _listen(self) -> None:
        """Listen until the connection can't be made, or is lost; raises why."""
        connection: Any = connections[self._database]
        psycopg = connection.Database
        parameters: dict[str, Any] = connection.get_connection_params()
        for theirs in ("cursor_factory", "context", "server_side_binding"):  # of Django's own
            parameters.pop(theirs, None)
        connect = psycopg.AsyncConnection.connect
        try:
            async with await connect(**parameters, autocommit=True) as listener:
                await listener.execute(f"LISTEN {NOTIFICATION}")
                self.is_listening = True
                self._backoff.reset()
                self._wake.set()  # for what came before
                async for _ in listener.notifies():
                    self._wake.set()
            raise psycopg.OperationalError("the connection has ended")
        finally:
            self.is_listening = False
            self._wake.set()
