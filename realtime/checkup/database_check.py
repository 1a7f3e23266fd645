"""Whether the database answers, has our tables, and whether anybody relays its outbox."""

from __future__ import annotations

from collections.abc import Iterator

from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections
from django.db.migrations.executor import MigrationExecutor

from realtime.checkup.finding import CheckRequest, Finding, fault, ok, warning
from realtime.conf import conf
from realtime.outbox.outbox_store import OutboxStore

APP = "realtime"


def check_database(asked: CheckRequest) -> Iterator[Finding]:
    """Yield what the API's keys, the outbox and the admin's permissions lack."""
    alias = DEFAULT_DB_ALIAS
    try:
        connection = connections[alias]
        connection.ensure_connection()
        executor = MigrationExecutor(connection)
        targets = [key for key in executor.loader.graph.leaf_nodes() if key[0] == APP]
        missing = [each for each, _ in executor.migration_plan(targets) if each.app_label == APP]
    except DatabaseError as error:
        yield fault(
            f"The database {alias!r} can't be used: {error}",
            "Start it, or correct DATABASES. Sessions, keys of the API and the outbox need it.",
        )
        return
    if missing:
        names = ", ".join(each.name for each in missing)
        yield fault(
            f"The database {alias!r} lacks migrations of {APP}: {names}.",
            f"python manage.py migrate {APP}",
        )
        return
    waiting, put_aside = OutboxStore(alias, lease=conf().outbox_lease).waiting()
    if put_aside:
        yield warning(
            f"{put_aside:,} entries of the outbox could not be published and were put aside.",
            "See them in the admin. python manage.py runoutbox --retry-failed tries them again.",
        )
    if waiting:
        yield warning(
            f"{waiting:,} entries of the outbox wait to be published.",
            "Check again: if the number does not fall, start python manage.py runoutbox.",
        )
    if not waiting and not put_aside:
        yield ok(
            f"The database {alias!r} ({connection.vendor}) answers and has all migrations; "
            "nothing waits in the outbox."
        )
