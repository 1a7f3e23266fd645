"""Writing publications into the outbox, within the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import connections

from realtime.models import OutboxEntry

NOTIFICATION = "realtime_outbox"  # the channel of PostgreSQL's NOTIFY


def write(database: str, alias: str, items: Iterable[tuple[str, bytes]]) -> None:
    """Write (room, JSON text) into the outbox of a database, in order.

    They are published in that order, if the transaction is committed. On PostgreSQL the relay
    hears of it when that happens.
    """
    OutboxEntry.objects.using(database).bulk_create(
        OutboxEntry(layer=alias, room=room, data=data.decode()) for room, data in items
    )
    connection = connections[database]
    if connection.vendor == "postgresql":
        # PostgreSQL joins the equal ones of a transaction, and delivers with its commit.
        with connection.cursor() as cursor:
            cursor.execute(f"NOTIFY {NOTIFICATION}")
