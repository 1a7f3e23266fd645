"""Hearing of commits at once: PostgreSQL's LISTEN and NOTIFY.

A notification is delivered when its transaction is committed, and only to who listens then. It
wakes the relay; what there is to do stands in the outbox alone.
"""

from __future__ import annotations

import asyncio
from typing import Any

from django.db import connections

from realtime.outbox.entries import NOTIFICATION


class Notifications:
    """Sets an event whenever a transaction that wrote into the outbox is committed.

    Args:
        database: The alias of the outbox's database.
        wake: The event.

    Attributes:
        is_listening: Whether it hears now.
    """

    def __init__(self, database: str, wake: asyncio.Event) -> None:
        self.is_listening = False
        self._database = database
        self._wake = wake

    @property
    def are_possible(self) -> bool:
        """Whether the database can tell: PostgreSQL, by psycopg 3."""
        if connections[self._database].vendor != "postgresql":
            return False
        from django.db.backends.postgresql.psycopg_any import is_psycopg3

        return bool(is_psycopg3)

    async def listen(self) -> None:
        """Listen on a connection of its own; ends only by an error.

        A pooler in transaction mode can't serve it. It says no error then, and nothing is heard.

        Raises:
            psycopg.Error: The connection can't be made, or is lost.
        """
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
                self._wake.set()  # for what came before
                async for _ in listener.notifies():
                    self._wake.set()
            raise psycopg.OperationalError("the connection has ended")
        finally:
            self.is_listening = False
