"""Values that are read for many clients in one go, on a database that went away meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import dj_database_url
import psycopg
import pytest
from django.db import connections
from pytest_django import DjangoDbBlocker

from realtime.access.batched_reads import BatchedReads
from tests.postgresql import PostgreSQL

ALIAS = "restarted"

pytestmark = pytest.mark.needs("postgresql")


@pytest.fixture
def url(django_db_blocker: DjangoDbBlocker, postgresql: PostgreSQL) -> Iterator[str]:
    """The address of a database whose connections stay open, and are not looked at before use."""
    settings = dj_database_url.parse(postgresql.url, conn_max_age=None)
    connections.settings[ALIAS] = connections["default"].settings_dict | settings
    with django_db_blocker.unblock():
        yield postgresql.url
    del connections.settings[ALIAS]


def process_of(key: str) -> int:
    """Return the number of the server's process for this thread's connection."""
    with connections[ALIAS].cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        number: int = cursor.fetchone()[0]
    if key == "last":
        connections[ALIAS].close()
    return number


async def test_connection_that_was_lost_fails_one_read(url: str) -> None:
    """Those behind it have a new one."""
    reads = BatchedReads(process_of, "read numbers")
    before = await reads.of("first")
    with psycopg.connect(url, autocommit=True) as server:
        server.execute("SELECT pg_terminate_backend(%s, 10000)", [before])
    failed, *found = await asyncio.gather(
        *(reads.of(key) for key in ("a", "b", "last")), return_exceptions=True
    )
    assert isinstance(failed, Exception)
    assert len(set(found)) == 1
    assert isinstance(found[0], int)
    assert found[0] != before
