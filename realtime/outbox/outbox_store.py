"""What a relay asks of the database. All of it blocks.

Entries are numbered when a relay takes them, not when they are written: transactions commit in
another order than they began in, so an entry's own id may come after a later one was published. A
relay takes what it can see as one batch, with a number that the row of the lease counts. Batch and
id make the mark by which Redis knows what it has.

The lease keeps two relays from working at once. It may end while its holder is only slow, and then
two do work. That does no harm: taking a batch fails for who has lost the lease, in the same
transaction. The new holder first publishes again what the old one had taken, under the same marks.

A database that was restored from a backup counts again from there, while Redis has seen later
batches. A number that Redis has seen is never given again: the outbox gets another name, under
which nothing was seen. While entries are taken, Redis may have them under the old name; so until
they are done, the outbox keeps its name, and counts on behind what Redis has seen.

The database's clock says when the lease ends: those of the relays' machines may differ.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from datetime import timedelta
from uuid import uuid4

from django.db import connections, transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from realtime.models import OutboxEntry, OutboxLease

LEASE = 1  # the key of the one row
DELETED_TOGETHER = 500  # entries; some databases bound how many values one statement may have


class LeaseLost(Exception):
    """Another relay works on this outbox now."""


class OutboxStore:
    """The outbox in one database, as one relay sees it.

    Args:
        database: Its alias.
        lease: Seconds until another relay may go on for one that fell silent.
    """

    def __init__(self, database: str, *, lease: float) -> None:
        self.database = database
        self._lease = timedelta(seconds=lease)
        self._holder = f"{socket.gethostname()[:100]}:{os.getpid()}:{uuid4().hex}"

    def lacks_tables(self) -> bool:
        """Tell whether the database has no outbox, as the migrations were not run there."""
        tables = connections[self.database].introspection.table_names()
        return OutboxLease._meta.db_table not in tables

    def acquire(self) -> bool:
        """Take the lease, or renew it; return whether this relay has it."""
        leases = OutboxLease.objects.using(self.database)
        leases.get_or_create(
            pk=LEASE, defaults={"source": _new_source(), "holder": "", "expires_at": Now()}
        )
        free = Q(expires_at__lte=Now()) | Q(holder=self._holder)
        taken = leases.filter(free, pk=LEASE).update(
            holder=self._holder, expires_at=Now() + self._lease
        )
        return taken > 0

    def release(self) -> None:
        """Give the lease back, if this relay has it."""
        self._held().update(expires_at=Now())

    def count(self) -> tuple[str, int]:
        """Return the outbox's name in marks, and the number of its next batch."""
        lease = OutboxLease.objects.using(self.database).get(pk=LEASE)
        return lease.source, lease.next_batch

    def leave_behind(self, batch: int) -> str:
        """See that no batch of this number, or of an earlier one, is taken any more.

        Args:
            batch: What Redis has seen.

        Returns:
            The outbox's name: another one, unless Redis may have entries that are taken.

        Raises:
            LeaseLost: Nothing was done.
        """
        with transaction.atomic(using=self.database):
            if not self._held().update(expires_at=Now() + self._lease):
                raise LeaseLost
            if not self._taken().exists():
                return self.begin_anew()
            source, following = self.count()
            self._held().update(next_batch=max(following, batch + 1))
            return source

    def begin_anew(self) -> str:
        """Give the outbox another name, under which no number was used yet; return it.

        Raises:
            LeaseLost: Nothing was done.
        """
        source = _new_source()
        if not self._held().update(source=source):
            raise LeaseLost
        return source

    def taken(self) -> list[OutboxEntry]:
        """Return the entries that a relay took and nobody has deleted, in order."""
        return list(self._taken().order_by("batch", "pk"))

    def has_new(self) -> bool:
        """Tell whether there are entries that no relay has taken."""
        return self._new().exists()

    def new(self, most: int) -> list[tuple[int, str, str]]:
        """Return the id, the layer and the room of entries that no relay has taken, in order."""
        return list(self._new().order_by("pk").values_list("pk", "layer", "room")[:most])

    def advance(
        self,
        published: Sequence[int],
        most: int,
        *,
        among: Sequence[int] | None = None,
        behind: int = 0,
    ) -> list[OutboxEntry]:
        """Delete what is published, renew the lease, and take the next batch, in one transaction.

        Args:
            published: Ids of entries.
            most: How many entries to take.
            among: Ids of those that may be taken, in order; None: all that are there.
            behind: A batch that Redis has seen: nothing is taken with its number, or an earlier.

        Returns:
            The batch, in order.

        Raises:
            LeaseLost: Nothing was done.
        """
        with transaction.atomic(using=self.database):
            # First, as it locks the row: who comes at the same time waits, and then fails.
            if not self._held().update(expires_at=Now() + self._lease):
                raise LeaseLost
            for begin in range(0, len(published), DELETED_TOGETHER):
                ids = published[begin : begin + DELETED_TOGETHER]
                self._entries().filter(pk__in=ids).delete()
            new = self._ids(most) if among is None else among[:most]
            if not new:
                return []
            _, batch = self.count()
            if batch <= behind:
                return []
            self._held().update(next_batch=batch + 1)
            for begin in range(0, len(new), DELETED_TOGETHER):
                ids = new[begin : begin + DELETED_TOGETHER]
                self._new().filter(pk__in=ids).update(batch=batch)
            return list(self._entries().filter(batch=batch).order_by("pk"))

    def put_aside(self, entry: int, error: str) -> None:
        """Keep an entry that can't be published, and why."""
        self._entries().filter(pk=entry).update(failed_at=timezone.now(), error=error)

    def take_up(self) -> int:
        """Have what was put aside go again, as if it were new; return how many."""
        failed = self._entries().filter(failed_at__isnull=False)
        return failed.update(failed_at=None, error="", batch=None)

    def waiting(self) -> tuple[int, int]:
        """Return how many entries wait to be published, and how many were put aside."""
        entries = self._entries()
        return (
            entries.filter(failed_at__isnull=True).count(),
            entries.filter(failed_at__isnull=False).count(),
        )

    def _entries(self) -> QuerySet[OutboxEntry]:
        return OutboxEntry.objects.using(self.database)

    def _ids(self, most: int) -> list[int]:
        """Return the ids of the first entries that no relay has taken."""
        return list(self._new().order_by("pk").values_list("pk", flat=True)[:most])

    def _taken(self) -> QuerySet[OutboxEntry]:
        return self._entries().filter(batch__isnull=False, failed_at__isnull=True)

    def _new(self) -> QuerySet[OutboxEntry]:
        return self._entries().filter(batch__isnull=True, failed_at__isnull=True)

    def _held(self) -> QuerySet[OutboxLease]:
        return OutboxLease.objects.using(self.database).filter(pk=LEASE, holder=self._holder)


def _new_source() -> str:
    return f"outbox.{uuid4().hex}"
