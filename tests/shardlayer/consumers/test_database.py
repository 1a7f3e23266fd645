"""Old database connections are closed as Channels closes them, and only then is there a hop."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.db import connections, transaction
from django.db.utils import ConnectionHandler
from pytest_django import DjangoDbBlocker

from shardlayer.consumers import AsyncWebsocketConsumer
from shardlayer.consumers.database import a_connection_is_due, is_due
from tests.shardlayer.consumers.client import Message, Server
from tests.shardlayer.consumers.conftest import BASES
from tests.waiting import until

ALIAS = "file"
FOREVER = {"CONN_MAX_AGE": None}

Database = Callable[..., None]

pytestmark = pytest.mark.usefixtures("no_layer")


class CountingExecutor(ThreadPoolExecutor):
    """The one thread of `sync_to_async`; counts the hops to it."""

    def __init__(self) -> None:
        super().__init__(max_workers=1)
        self.hops = 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.hops += 1
        return super().submit(fn, *args, **kwargs)


@pytest.fixture(autouse=True)
def no_strangers(monkeypatch: pytest.MonkeyPatch) -> None:
    """What earlier tests left open in other threads is not known, as in a new process."""
    monkeypatch.setattr("shardlayer.consumers.database._known", ())


@pytest.fixture
def executor() -> Iterator[CountingExecutor]:
    """The thread in which a consumer uses the database, in place of asgiref's for all."""
    made = CountingExecutor()
    yield made
    made.submit(connections.close_all).result()
    made.shutdown()


@pytest.fixture
def database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, django_db_blocker: DjangoDbBlocker
) -> Iterator[Database]:
    """Add a database in a file, with options: a connection to one in memory is never closed."""

    def add(**options: Any) -> None:
        config = {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": tmp_path / "file.sqlite3",
            **options,
        }
        configured = ConnectionHandler().configure_settings({"default": config})["default"]
        monkeypatch.setitem(connections.settings, ALIAS, configured)

    with django_db_blocker.unblock():
        yield add
        connections[ALIAS].close()
        del connections[ALIAS]


def using_database(base: Any) -> Any:
    """Return a consumer whose clients choose what it does with its thread's connection."""

    class Using(base):  # type: ignore[misc]
        seen: list[Any]

        async def connect(self) -> None:
            self.seen = []
            await self.accept()

        async def receive(self, text_data: Any = None, bytes_data: Any = None) -> None:
            actions = {"nothing": None, "query": query, "fail": fail, "look": look}
            action = actions[text_data]
            self.seen.append(await sync_to_async(action)() if action else None)

        async def disconnect(self, code: int) -> None:
            if code == 4000:
                await sync_to_async(query)()

    return Using


def query() -> int:
    with connections[ALIAS].cursor() as cursor:
        cursor.execute("SELECT 1234")
        (number,) = cursor.fetchone()
    return int(number)


def fail() -> None:
    query()
    connections[ALIAS].errors_occurred = True


def look() -> dict[str, Any]:
    connection: Any = connections[ALIAS]
    return {
        "open": connection.connection is not None,
        "errors": connection.errors_occurred,
        "checked": connection.health_check_done,
    }


def in_context(
    executor: CountingExecutor, application: Callable[..., Awaitable[None]]
) -> Callable[..., Awaitable[None]]:
    """Run an application whose `sync_to_async` goes to an executor."""

    async def run(scope: Message, receive: Any, send: Any) -> None:
        async with ThreadSensitiveContext(executor=executor):
            await application(scope, receive, send)

    return run


def has_seen(consumer: Any, count: int) -> bool:
    return len(consumer.seen) == count


async def converse(
    consumer: Any, executor: CountingExecutor, *actions: str, code: int = 1000
) -> list[Any]:
    """Have a client send actions, one after the other, and go; return what was seen."""
    server = Server()
    running = server.run(in_context(executor, consumer))
    await until(lambda: server.sent)
    for count, action in enumerate(actions, 1):
        server.put(action)
        await until(partial(has_seen, consumer, count))
    server.inbox.put_nowait({"type": "websocket.disconnect", "code": code})
    await running
    return list(consumer.seen)


@pytest.mark.parametrize(("family", "hops"), [("stock", 23), ("ours", 0)])
async def test_consumer_without_a_database_never_hops(
    family: str, hops: int, executor: CountingExecutor
) -> None:
    """20 messages, and the connection's begin and end, take no hop to a thread; 23 in Channels."""
    consumer = using_database(BASES[family].AsyncWebsocketConsumer)()
    await converse(consumer, executor, *["nothing"] * 20)
    assert executor.hops == hops


@pytest.mark.parametrize(
    ("options", "action", "found"),
    [
        ({"CONN_MAX_AGE": 0}, "query", {"open": False}),
        (FOREVER, "query", {"open": True}),
        (FOREVER, "fail", {"open": True, "errors": False, "checked": True}),
        (FOREVER | {"CONN_HEALTH_CHECKS": True}, "query", {"open": True, "checked": False}),
    ],
    ids=["too old", "good", "failed", "to be checked"],
)
async def test_connection_is_looked_after_before_the_next_message(
    bases: Any,
    database: Database,
    executor: CountingExecutor,
    options: dict[str, Any],
    action: str,
    found: dict[str, Any],
) -> None:
    """A handler finds the connection that an earlier one used as Django leaves it to a request."""
    database(**options)
    consumer = using_database(bases.AsyncWebsocketConsumer)()
    seen = await converse(consumer, executor, action, "look")
    assert {key: seen[-1][key] for key in found} == found


async def test_connection_is_closed_at_the_end(
    bases: Any, database: Database, executor: CountingExecutor
) -> None:
    """What `disconnect` left open is closed once it has run."""
    database(CONN_MAX_AGE=0)
    consumer = using_database(bases.AsyncWebsocketConsumer)()
    await converse(consumer, executor, code=4000)
    assert executor.submit(look).result()["open"] is False


async def test_good_connection_costs_no_hops(
    database: Database, executor: CountingExecutor
) -> None:
    """A connection that is kept open and needs nothing is left alone, without a hop."""
    database(**FOREVER)
    consumer = using_database(AsyncWebsocketConsumer)()
    await converse(consumer, executor, "query", *["nothing"] * 10)
    assert executor.hops == 1, "the query itself"


async def test_connection_of_another_thread_costs_one_hop(
    database: Database, executor: CountingExecutor
) -> None:
    """A consumer looks once at a stranger's old connection, and then knows that it is not its."""
    database(CONN_MAX_AGE=0)
    with ThreadPoolExecutor(max_workers=1) as stranger:
        stranger.submit(query).result()
        assert a_connection_is_due(None)
        consumer = using_database(AsyncWebsocketConsumer)()
        await converse(consumer, executor, *["nothing"] * 10)
        assert executor.hops == 1
        assert stranger.submit(look).result()["open"]
        stranger.submit(connections.close_all).result()


def states() -> Iterator[dict[str, Any]]:
    """Yield every combination of what Django's decision depends on."""
    for autocommit, errors, close_at, enabled, done in product(
        [True, False],
        [True, False],
        [None, time.monotonic() - 1, time.monotonic() + 1_000],
        [True, False],
        [True, False],
    ):
        yield {
            "autocommit": autocommit,
            "errors_occurred": errors,
            "close_at": close_at,
            "health_check_enabled": enabled,
            "health_check_done": done,
        }


def test_a_connection_is_due_when_django_would_act(database: Database) -> None:
    """`is_due` agrees with what `close_if_unusable_or_obsolete` does, in every state."""
    database()
    for state in states():
        connection: Any = connections[ALIAS]
        connection.close()
        connection.ensure_connection()
        for name, value in state.items():
            setattr(connection, name, value)
        expected = is_due(connection)
        connection.close_if_unusable_or_obsolete()
        after = {name: getattr(connection, name) for name in state}
        if not state["health_check_enabled"]:
            after["health_check_done"] = state["health_check_done"]  # nobody asks for it
        acted = connection.connection is None or after != state
        assert expected == acted, state


def test_closed_connection_is_not_due(database: Database) -> None:
    """A connection object that is not connected needs nothing."""
    database(CONN_MAX_AGE=0)
    query()
    assert is_due(connections[ALIAS])
    connections[ALIAS].close()
    connections[ALIAS].errors_occurred = True
    assert not is_due(connections[ALIAS])


def test_connection_is_not_kept_alive(database: Database) -> None:
    """A thread's connection object goes with the thread, and is not due any more."""
    database(CONN_MAX_AGE=0)
    seen: list[tuple[int, weakref.ref[Any], bool]] = []

    def use() -> None:
        query()
        connection = connections[ALIAS]
        ident = threading.get_ident()
        seen.append((ident, weakref.ref(connection), a_connection_is_due(ident)))
        connection.close()

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    gc.collect()
    ((ident, reference, due),) = seen
    assert due
    assert reference() is None
    assert not a_connection_is_due(ident)


def test_connection_in_memory_is_never_due(
    monkeypatch: pytest.MonkeyPatch, django_db_blocker: DjangoDbBlocker
) -> None:
    """Django never closes one to SQLite in memory, so nobody hops for it: tests have such."""
    config = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
    configured = ConnectionHandler().configure_settings({"default": config})["default"]
    monkeypatch.setitem(connections.settings, ALIAS, configured)
    with django_db_blocker.unblock():
        fail()
        connection = connections[ALIAS]
        connection.close_if_unusable_or_obsolete()
        assert connection.connection is not None
        connection.errors_occurred = True
        assert not is_due(connection)
        connection.connection.close()
        del connections[ALIAS]


def test_connection_in_a_transaction_is_not_due(database: Database) -> None:
    """A test's transaction goes on, whatever its connection's age."""
    database(CONN_MAX_AGE=0)
    query()
    assert is_due(connections[ALIAS])
    with transaction.atomic(using=ALIAS):
        assert not is_due(connections[ALIAS])
