"""A route asks a database whose connections are lost: a real PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import dj_database_url
import psycopg
import pytest
from asgiref.sync import sync_to_async
from django.db import connections
from pytest_django import DjangoDbBlocker

from realtime.kafka.routing.bad_records import BadRecord
from realtime.kafka.routing.header_rules import Record
from realtime.kafka.routing.route_calls import Router
from tests.postgresql import PostgreSQL
from tests.realtime.kafka.records import FakeRecord
from tests.waiting import PATIENCE

ALIAS = "routes"

pytestmark = pytest.mark.needs("postgresql")

Forms = dict[str, Callable[[Record], Any]]


@pytest.fixture(params=[None, 0])
def url(
    request: pytest.FixtureRequest, django_db_blocker: DjangoDbBlocker, postgresql: PostgreSQL
) -> Iterator[str]:
    """The address of a database; its connections live for good, or no longer than a call."""
    settings = dj_database_url.parse(postgresql.url, conn_max_age=request.param)
    connections.settings[ALIAS] = connections["default"].settings_dict | settings
    with django_db_blocker.unblock():
        yield postgresql.url
    del connections.settings[ALIAS]


class Asking:
    """A route that asks the database, in each form that a route may have.

    It names the server's process that answered. The key of a record tells what it does before it
    asks: `lose` ends its connection the first time, `lose always` each time, `hide` does as well
    and raises another error, `wrong` sends what is no SQL, and `bug` raises.
    """

    def __init__(self, url: str) -> None:
        self.asked: list[str] = []
        self._url = url

    def in_thread(self, record: Record) -> list[str]:
        """Ask in the route's own thread."""
        key = (record.key or b"").decode()
        is_new = key not in self.asked
        self.asked.append(key)
        if key == "bug":
            raise ValueError("a bug")
        process = self._query("SELECT pg_backend_pid()")
        if key == "lose always" or key == "hide" or (key == "lose" and is_new):
            self.end(process)
        try:
            answer = self._query("SELECT nothing" if key == "wrong" else "SELECT pg_backend_pid()")
        except Exception as error:
            if key == "hide":
                raise ValueError("hidden") from error
            raise
        return [f"process.{answer}"]

    async def asynchronous(self, record: Record) -> list[str]:
        """Ask where Django's asynchronous ORM does."""
        return await sync_to_async(self.in_thread)(record)

    def awaitable(self, record: Record) -> Awaitable[list[str]]:
        """Return what asks there."""
        return self.asynchronous(record)

    def end(self, process: str) -> None:
        """Have the server end a connection, as its restart does."""
        with psycopg.connect(self._url, autocommit=True) as server:
            server.execute("SELECT pg_terminate_backend(%s, 10000)", [process])

    def _query(self, sql: str) -> str:
        with connections[ALIAS].cursor() as cursor:
            cursor.execute(sql)
            return str(cursor.fetchone()[0])


@pytest.fixture
def asking(url: str) -> Asking:
    """What the route does."""
    return Asking(url)


@pytest.fixture(params=["in_thread", "asynchronous", "awaitable"])
async def router(request: pytest.FixtureRequest, asking: Asking) -> AsyncIterator[Router]:
    """A router with a route of each form; its connections are closed after the test."""
    router = Router(getattr(asking, request.param), most=10, seconds=PATIENCE)
    yield router

    def close(record: Record) -> list[str]:
        connections[ALIAS].close()
        return ["closed"]

    async def close_elsewhere(record: Record) -> list[str]:
        return await sync_to_async(close)(record)

    for route in (close, close_elsewhere):
        router._route = route
        await routed(router, "end")
    router.close()


async def routed(router: Router, *keys: str) -> list[str]:
    """Return the room of each record, or why it has none."""
    answers = await router.rooms([FakeRecord(key=key.encode()) for key in keys])
    return [str(one) if isinstance(one, BadRecord) else one[0] for one in answers]


async def test_connection_that_was_lost_costs_no_record(router: Router, asking: Asking) -> None:
    """Neither the first after a restart of the database, nor those behind it."""
    (before,) = await routed(router, "a")
    asking.end(before.removeprefix("process."))
    after = await routed(router, *"bcd")
    assert before not in after
    assert {room.partition(".")[0] for room in after} == {"process"}


async def test_connection_that_is_lost_on_the_way_costs_no_record(
    router: Router, asking: Asking
) -> None:
    """Its record is tried once more on another one."""
    found = await routed(router, "a", "lose", "b", "c")
    assert {room.partition(".")[0] for room in found} == {"process"}
    assert asking.asked.count("lose") == 2


@pytest.mark.parametrize(("key", "tries"), [("lose always", 2), ("hide", 1)])
async def test_record_that_loses_its_connection_costs_no_other(
    key: str, tries: int, router: Router, asking: Asking
) -> None:
    """It is tried twice at most, and once if its error does not tell of the database."""
    lost, *others = [room for each in (key, "a", "b") for room in await routed(router, each)]
    assert lost.startswith("the route failed:")
    assert {room.partition(".")[0] for room in others} == {"process"}
    assert asking.asked == [key] * tries + ["a", "b"]


@pytest.mark.parametrize("router", ["in_thread", "awaitable"], indirect=True)
@pytest.mark.parametrize("key", ["lose always", "hide"])
async def test_record_that_loses_its_connection_among_others(key: str, router: Router) -> None:
    """Those of the same job that are asked for behind it have a new one."""
    first, lost, *others = await routed(router, "a", key, "b", "c")
    assert lost.startswith("the route failed:")
    assert first not in others
    assert {room.partition(".")[0] for room in others} == {"process"}


@pytest.mark.parametrize("key", ["bug", "wrong"])
async def test_error_that_has_another_cause(key: str, router: Router, asking: Asking) -> None:
    """Its record is not tried again, and the connection, which is good, serves the others."""
    first, failed, *others = await routed(router, "a", key, "b", "c")
    assert failed.startswith("the route failed:")
    assert set(others) == {first}
    assert asking.asked.count(key) == 1
