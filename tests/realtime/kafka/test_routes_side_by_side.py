"""Routes of several consumers, which share the connections of Django's asynchronous ORM."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import dj_database_url
import psycopg
import pytest
from asgiref.sync import sync_to_async
from django.contrib.contenttypes.models import ContentType
from django.db import OperationalError, connections, transaction
from pytest_django import DjangoDbBlocker

from realtime.kafka.routing import route_calls
from realtime.kafka.routing import route_threads as module
from realtime.kafka.routing.bad_records import BadRecord
from realtime.kafka.routing.header_rules import Record
from realtime.kafka.routing.route_calls import Router
from tests.realtime.kafka.records import FakeRecord
from tests.waiting import PATIENCE, until

ALIAS = "side by side"
POSTGRESQL = pytest.param("postgresql", marks=pytest.mark.needs("postgresql"))
ROWS = 3


@pytest.fixture(params=["sqlite", POSTGRESQL])
def database(
    request: pytest.FixtureRequest, django_db_blocker: DjangoDbBlocker, tmp_path: Path
) -> Iterator[None]:
    """A database that has a few rows; its connections are old at once."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/database"
    else:
        url = request.getfixturevalue("postgresql").url
    settings = dj_database_url.parse(url, conn_max_age=0)
    connections.settings[ALIAS] = connections["default"].settings_dict | settings | {"url": url}
    with django_db_blocker.unblock():
        try:
            with connections[ALIAS].schema_editor() as editor:
                editor.create_model(ContentType)
            for number in range(ROWS):
                ContentType(app_label="a", model=str(number)).save(using=ALIAS)
            yield
            if request.param == "postgresql":
                with connections[ALIAS].schema_editor() as editor:
                    editor.delete_model(ContentType)
        finally:
            forget()
            del connections.settings[ALIAS]


def forget() -> None:
    """Let go of this thread's connection: the next test has other settings."""
    connections[ALIAS].close()
    del connections[ALIAS]


class SharedUse:
    """A route that uses the database in the shared thread.

    The key of a record tells what it does: `reads` reads all rows, one at a time, and waits after
    the first; `writes` waits within a transaction; `hangs` blocks its own thread; `waits` only
    waits; `holds` does so once it is connected; `loses` has the server end its connection, and
    copes with the error; `ages` makes its connection as old as it may become. Others ask for
    nothing much.
    """

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.used: list[Any] = []  # connections, as their driver has them
        self.is_waiting = threading.Event()
        self.goes_on = threading.Event()
        self._together = threading.Barrier(2)

    async def asynchronous(self, record: Record) -> list[str]:
        """Do what the key tells."""
        key = (record.key or b"").decode()
        self.asked.append(key)
        own: Callable[[], Awaitable[list[str]]] | None = getattr(self, f"_{key}", None)
        return await (own or self._connects)()

    def awaitable(self, record: Record) -> Awaitable[list[str]]:
        """Return what does it."""
        return self.asynchronous(record)

    async def _meets(self) -> list[str]:
        self._together.wait(PATIENCE)
        return await self._connects()

    async def _connects(self) -> list[str]:
        await sync_to_async(self._use)()
        return ["connected"]

    async def _ages(self) -> list[str]:
        def age() -> None:
            self._use()
            if connections[ALIAS].close_at is not None:
                connections[ALIAS].close_at = time.monotonic()

        await sync_to_async(age)()
        return ["aged"]

    async def _waits(self) -> list[str]:
        self.is_waiting.set()
        await until(self.goes_on.is_set)
        return ["waited"]

    async def _holds(self) -> list[str]:
        await self._connects()
        return await self._waits()

    async def _hangs(self) -> list[str]:
        await self._connects()
        with suppress(BaseException):  # it is interrupted as soon as it may be
            self.is_waiting.set()
            self.goes_on.wait(PATIENCE)
        self.goes_on.wait(PATIENCE)
        return ["hung"]

    async def _reads(self) -> list[str]:
        rooms = []
        rows = ContentType.objects.using(ALIAS).order_by("pk")
        async for row in rows.aiterator(chunk_size=1):
            rooms.append(f"row.{row.model}")
            await self._waits()
        return rooms

    async def _writes(self) -> list[str]:
        block: Any = transaction.atomic(using=ALIAS)
        await sync_to_async(block.__enter__)()
        await ContentType.objects.using(ALIAS).acreate(app_label="a", model="written")
        await self._waits()
        await sync_to_async(block.__exit__)(None, None, None)
        rows = ContentType.objects.using(ALIAS)
        return [f"row.{row.model}" async for row in rows.filter(model="written")]

    async def _loses(self) -> list[str]:
        def lose() -> None:
            with connections[ALIAS].cursor() as cursor:
                cursor.execute("SELECT pg_backend_pid()")
                (process,) = cursor.fetchone()
                url = str(connections[ALIAS].settings_dict["url"])
                with psycopg.connect(url, autocommit=True) as server:
                    server.execute("SELECT pg_terminate_backend(%s, 10000)", [process])
                cursor.execute("SELECT 1")

        with pytest.raises(OperationalError):
            await sync_to_async(lose)()
        return ["coped"]

    def _use(self) -> None:
        with connections[ALIAS].cursor() as cursor:
            cursor.execute("SELECT 1")
        self.used.append(connections[ALIAS].connection)


@pytest.fixture
def use(database: None) -> SharedUse:
    """What the route does."""
    return SharedUse()


@pytest.fixture(params=["asynchronous", "awaitable"])
async def router(request: pytest.FixtureRequest, use: SharedUse) -> AsyncIterator[Router]:
    """A router with a route of each form, of which two threads have used the shared one."""
    before = set(threading.enumerate())
    router = Router(getattr(use, request.param), most=10, seconds=PATIENCE)
    await asyncio.gather(*(routed(router, "meets") for _ in range(2)))
    use.used.clear()
    yield router
    use.goes_on.set()
    router.close()
    await until(lambda: not [one for one in threading.enumerate() if is_routes(one, before)])
    await sync_to_async(forget)()


def is_routes(thread: threading.Thread, before: set[threading.Thread]) -> bool:
    """Say whether a thread calls a route, and was not there before."""
    return thread.name == "realtime: route records" and thread not in before


async def routed(router: Router, key: str) -> Sequence[str] | str:
    """Return the rooms of a record, or why it has none."""
    (answer,) = await router.rooms([FakeRecord(key=key.encode())])
    return str(answer) if isinstance(answer, BadRecord) else answer


async def begun(router: Router, use: SharedUse, key: str) -> asyncio.Task[Any]:
    """Return a call that is under way, and waits until `goes_on` is set."""
    call = asyncio.create_task(routed(router, key))
    await until(use.is_waiting.is_set)
    return call


@pytest.mark.parametrize(
    ("key", "rooms"),
    [("reads", [f"row.{number}" for number in range(ROWS)]), ("writes", ["row.written"])],
)
async def test_call_keeps_its_connection_while_another_consumer_asks(
    router: Router, use: SharedUse, key: str, rooms: list[str]
) -> None:
    """Rows that it reads, and its transaction, outlast calls that begin meanwhile."""
    call = await begun(router, use, key)
    for _ in range(2):
        assert await routed(router, "other") == ["connected"]
    use.goes_on.set()
    assert await call == rooms
    assert use.asked.count(key) == 1


@pytest.mark.parametrize("max_age", [0, 3600, None])
async def test_connection_that_is_old_is_closed_once_no_call_is_under_way(
    router: Router, use: SharedUse, max_age: int | None
) -> None:
    """And not before; one that lives for good stays."""
    connections.settings[ALIAS]["CONN_MAX_AGE"] = max_age
    call = await begun(router, use, "reads")
    for _ in range(2):
        await routed(router, "ages")
    use.goes_on.set()
    await call
    await routed(router, "a")
    await routed(router, "b")
    first, second, third, fourth = use.used
    assert first is second
    assert (first is third) == (max_age is None)
    assert (third is fourth) == (max_age != 0)


async def test_call_that_was_left_behind_keeps_no_connection_open(
    router: Router, use: SharedUse
) -> None:
    """It may hang for good, and nobody uses its result."""
    call = await begun(router, use, "hangs")
    call.cancel()  # the pool leaves it behind, as it does after its time
    await asyncio.wait([call])
    (left,) = router._stuck
    for _ in range(2):
        await routed(router, "a")
    assert left.is_alive()
    use.goes_on.set()
    await until(lambda: not left.is_alive())
    await routed(router, "a")
    assert_all_differ(use.used)
    assert len(use.used) == 4


async def test_call_that_ends_after_it_was_left_behind_ends_no_other(
    router: Router, use: SharedUse
) -> None:
    """Rows that another reads meanwhile outlast its end."""
    left = await begun(router, use, "hangs")
    left.cancel()
    await asyncio.wait([left])
    (thread,) = router._stuck
    use.is_waiting.clear()
    use.goes_on.set()
    await until(lambda: not thread.is_alive())
    use.goes_on.clear()
    call = await begun(router, use, "reads")
    for _ in range(2):
        await routed(router, "a")
    use.goes_on.set()
    assert await call == [f"row.{number}" for number in range(ROWS)]
    hung, first, second = use.used
    assert hung is not first
    assert first is second


def assert_all_differ(used: list[Any]) -> None:
    """Assert that no connection served two calls."""
    assert len({id(connection) for connection in used}) == len(used)


@pytest.fixture
def is_due(router: Router, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Say how often a lull is due, and how long it is waited for, in seconds."""

    def set_both(*, interval: float, wait: float) -> None:
        monkeypatch.setattr(module, "LULL_INTERVAL", interval)
        monkeypatch.setattr(module, "LULL_WAIT", wait)

    return set_both


def is_waited_for(router: Router) -> bool:
    """Say whether a job waits until no call is under way."""
    return router._under_way._gives_up is not None


@pytest.mark.parametrize("key", ["holds", "reads"])
async def test_calls_wait_for_a_lull_when_one_is_due(
    router: Router, use: SharedUse, is_due: Callable[..., None], key: str
) -> None:
    """Else the connection of consumers whose calls always overlap would live for good."""
    call = await begun(router, use, key)
    assert await routed(router, "a") == ["connected"]
    held = use.used[-1]
    is_due(interval=0, wait=10 * PATIENCE)
    others = [asyncio.create_task(routed(router, other)) for other in "bc"]
    await until(lambda: is_waited_for(router))
    assert use.asked == ["meets", "meets", key, "a"]
    use.goes_on.set()
    expected = ["waited"] if key == "holds" else [f"row.{number}" for number in range(ROWS)]
    assert await call == expected
    assert await asyncio.gather(*others) == [["connected"]] * 2
    assert held not in use.used[-2:]
    assert not is_waited_for(router)


async def test_wait_for_a_lull_is_bounded_and_begins_again(
    router: Router, use: SharedUse, is_due: Callable[..., None]
) -> None:
    """A call that goes on for longer keeps its connection, and delays others now and then."""
    call = await begun(router, use, "holds")
    (held,) = use.used
    is_due(interval=0, wait=0)
    assert await routed(router, "a") == ["connected"]
    assert use.used[-1] is held
    is_due(interval=10 * PATIENCE, wait=10 * PATIENCE)  # it is not due after a wait in vain
    assert await routed(router, "b") == ["connected"]
    assert use.used[-1] is held
    is_due(interval=0, wait=10 * PATIENCE)
    other = asyncio.create_task(routed(router, "c"))
    await until(lambda: is_waited_for(router))
    use.goes_on.set()
    assert await call == ["waited"]
    assert await other == ["connected"]
    assert use.used[-1] is not held


async def test_interval_begins_again_after_a_wait_in_vain(
    router: Router, use: SharedUse, is_due: Callable[..., None]
) -> None:
    """So not each job waits."""
    call = await begun(router, use, "waits")
    router._under_way._last_lull -= 20 * PATIENCE
    is_due(interval=10 * PATIENCE, wait=0)
    assert await routed(router, "a") == ["connected"]
    is_due(interval=10 * PATIENCE, wait=10 * PATIENCE)
    assert await asyncio.wait_for(routed(router, "b"), PATIENCE) == ["connected"]
    use.goes_on.set()
    assert await call == ["waited"]


async def test_wait_for_a_lull_ends_with_the_pool(
    router: Router, use: SharedUse, is_due: Callable[..., None]
) -> None:
    """And it leaves no thread behind."""
    call = await begun(router, use, "waits")
    is_due(interval=0, wait=10 * PATIENCE)
    other = asyncio.create_task(routed(router, "a"))
    await until(lambda: is_waited_for(router))
    other.cancel()
    await asyncio.wait_for(asyncio.wait([other]), PATIENCE)
    assert other.cancelled()
    assert not router._stuck
    assert "a" not in use.asked
    use.goes_on.set()
    assert await call == ["waited"]


async def test_time_of_a_call_begins_after_the_wait_for_a_lull(
    router: Router, use: SharedUse, is_due: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record is not bad because it had to wait for others."""
    call = await begun(router, use, "waits")
    jobs: list[Any] = []
    make = route_calls._Job

    def made(*of: Any) -> Any:
        jobs.append(make(*of))
        return jobs[-1]

    monkeypatch.setattr(route_calls, "_Job", made)
    is_due(interval=0, wait=10 * PATIENCE)
    other = asyncio.create_task(routed(router, "a"))
    await until(lambda: is_waited_for(router))
    assert not jobs
    use.goes_on.set()
    assert await call == ["waited"]
    assert await other == ["connected"]
    assert len(jobs) == 1


@pytest.mark.parametrize("is_used", [False, True])
async def test_calls_that_never_wait_wait_for_no_lull(
    is_used: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plain functions have connections of their own thread only."""
    monkeypatch.setattr(module.SharedThread, "is_used", is_used)
    monkeypatch.setattr(module, "LULL_INTERVAL", 0)
    monkeypatch.setattr(module, "LULL_WAIT", 10 * PATIENCE)
    is_waiting, goes_on = threading.Event(), threading.Event()

    def plain(record: Record) -> list[str]:
        if record.key == b"waits":
            is_waiting.set()
            goes_on.wait(PATIENCE)
        return ["answered"]

    router = Router(plain, most=10, seconds=PATIENCE)
    call = asyncio.create_task(routed(router, "waits"))
    await until(is_waiting.is_set)
    other = asyncio.create_task(routed(router, "a"))
    await until(lambda: other.done() or is_waited_for(router))
    assert is_waited_for(router) == is_used
    goes_on.set()
    assert await call == await other == ["answered"]
    router.close()


@pytest.mark.parametrize("database", [POSTGRESQL], indirect=True)
async def test_connection_that_is_lost_is_closed_while_a_call_is_under_way(
    router: Router, use: SharedUse
) -> None:
    """The next call need not be tried again, though the error was handled by the one before it."""
    call = await begun(router, use, "waits")
    assert await routed(router, "loses") == ["coped"]
    assert await routed(router, "a") == ["connected"]
    assert use.asked.count("a") == 1
    use.goes_on.set()
    assert await call == ["waited"]
