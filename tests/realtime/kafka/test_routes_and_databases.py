"""A route asks a database whose connections are lost: a real PostgreSQL."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import dj_database_url
import psycopg
import pytest
from asgiref.sync import SyncToAsync, sync_to_async
from django.db import OperationalError, connections
from django.db.backends.sqlite3.base import DatabaseWrapper
from pytest_django import DjangoDbBlocker

from realtime.kafka.routing.bad_records import BadRecord
from realtime.kafka.routing.header_rules import Record
from realtime.kafka.routing.route_calls import MOST_STUCK, Router
from realtime.kafka.routing.route_threads import RouteThread, SharedThread
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
        del connections[ALIAS]  # the next test has other settings, and the shared thread stays
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


def lock(url: str) -> psycopg.Connection[Any]:
    """Return what has a query of others wait that asks for this lock, until it is closed."""
    holder = psycopg.connect(url, autocommit=True)
    holder.execute("SELECT pg_advisory_lock(7)")
    return holder


@pytest.mark.parametrize("router", ["asynchronous", "awaitable"], indirect=True)
async def test_database_that_is_silent_holds_no_route_that_copes_with_it(
    router: Router, asking: Asking
) -> None:
    """Nobody waits for a close in the thread that it holds, however many jobs there are."""

    def ask(record: Record) -> list[str]:
        asking._query("SELECT pg_advisory_xact_lock(7)")
        return ["fresh"]

    async def copes(record: Record) -> list[str]:
        try:
            async with asyncio.timeout(0.2 if record.key == b"silent" else PATIENCE):
                return await sync_to_async(ask)(record)
        except TimeoutError:
            return ["fallback"]

    asynchronous = inspect.iscoroutinefunction(router._route)
    router._route = copes if asynchronous else lambda record: copes(record)
    assert await routed(router, "a") == ["fresh"]
    with lock(asking._url):
        for _ in range(2 * MOST_STUCK):
            assert await asyncio.wait_for(routed(router, "silent"), PATIENCE) == ["fallback"]
        assert not router._stuck
    assert await routed(router, "a") == ["fresh"]


async def test_one_close_at_a_time_waits_in_the_shared_thread() -> None:
    """While something holds that thread, they do not heap up."""
    shared, closed, held = SharedThread(), [], threading.Event()
    holds = SyncToAsync.single_thread_executor.submit(held.wait, PATIENCE)
    for number in range(10):
        shared.close(lambda number=number: closed.append(number))  # type: ignore[misc]
    held.set()
    await sync_to_async(holds.result)()
    assert closed == [0]
    shared.close(lambda: closed.append(10))
    await sync_to_async(len)(closed)  # behind it
    assert closed == [0, 10]


def test_connection_that_was_refused_is_not_asked_whether_it_works(
    monkeypatch: pytest.MonkeyPatch,
    django_db_blocker: DjangoDbBlocker,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    """Django's contract says so, and the backends of MySQL and Oracle would raise."""

    def is_usable(connection: Any) -> bool:
        connection.connection.ping()  # as MySQL's does
        return True

    monkeypatch.setattr(DatabaseWrapper, "is_usable", is_usable)
    refused = connections["default"].settings_dict | {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": tmp_path / "no folder" / "database",
    }
    monkeypatch.setitem(connections.settings, ALIAS, refused)

    def ask() -> None:
        connections[ALIAS].cursor()

    with django_db_blocker.unblock(), asyncio.Runner() as runner:
        thread = RouteThread(runner)
        with pytest.raises(OperationalError):
            ask()
        assert connections[ALIAS].errors_occurred
        thread.close_lost()
    del connections[ALIAS]
    assert "could not be closed" not in caplog.text
