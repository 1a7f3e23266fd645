"""A consumer under test must not close the connection that has the test's transaction.

Channels closes old connections before and after what a consumer does with the database. In a
TestCase these are the test's own, and closing one ends its transaction.
"""

from __future__ import annotations

from typing import Any

from channels import db
from django.db import connections


def keep_transactions() -> None:
    """Have Channels close no connection that is in a transaction, until this process ends.

    For good, since a consumer may go on for a moment after its test. It has no effect outside of
    tests: there no transaction is open when a consumer begins or ends.
    """
    db.close_old_connections = _close_those_without


def _close_those_without(**_: Any) -> None:
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()
