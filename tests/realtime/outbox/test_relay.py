"""The relay as a process, on real databases and a real Redis."""

from __future__ import annotations

import json
import re
import shutil
import signal
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import psycopg
import pytest

from demo.embedded import EmbeddedValkey, free_port
from realtime.management.commands.runoutbox import STOP_TIMEOUT
from realtime.outbox.notifications import FIRST_PAUSE
from shardlayer import ShardedChannelLayer
from tests.frozen import frozen
from tests.postgresql import PostgreSQL
from tests.realtime.outbox.writer import ROLLED_BACK
from tests.realtime.process import Process, manage, run_manage
from tests.waiting import PATIENCE, until, wait_until

pytestmark = pytest.mark.slow

SETTINGS = "tests.realtime.outbox.outbox_settings"
STEPS = ("taken", "published", "deleted")
DEATHS = 3  # at each step
ONE = '{"number": 1}'
WRITE_ONE = (
    "from django.db import transaction\n"
    "from realtime.outbox.entries import write\n"
    "with transaction.atomic(): write('default', 'default', [('outbox.one', b'1')])"
)
HOUR_AHEAD = """
from datetime import timedelta
from django.core.management import execute_from_command_line
from django.utils import timezone
right = timezone.now
timezone.now = lambda: right() + timedelta(hours=1)
execute_from_command_line(["manage.py", "runoutbox"])
"""


class Outbox:
    """A database with an outbox, its processes, and what was published from it."""

    def __init__(self, database: str, redis: EmbeddedValkey, tmp_path: Path) -> None:
        self.environ = {
            "DJANGO_SETTINGS_MODULE": SETTINGS,
            "DATABASE_URL": database,
            "REDIS_URL": redis.url,
        }
        self._tmp_path = tmp_path
        self.layer = ShardedChannelLayer(
            hosts=[redis.url], history={"outbox.*": {"size": 10_000, "ttl": 3600}}
        )

    def process(self, *command: str, **environ: str) -> Process:
        """Return a process, not yet started."""
        log = self._tmp_path / f"{uuid4().hex}.log"
        return Process(list(command), log=log, **self.environ, **environ)

    def done(self, *command: str) -> str:
        """Run a process to its end and return what it wrote."""
        with self.process(*command) as process:
            wait_until(lambda: not process.runs(), within=PATIENCE)
            assert process.stop() == 0, process.output()
            return process.output()

    def relay(self, **environ: str) -> Process:
        """Return a relay, not yet started."""
        return self.process(*manage("runoutbox"), **environ)

    def writer(self, transactions: int, threads: int, settle: float = 0.0) -> Process:
        """Return a writer, not yet started."""
        return self.process(
            *(sys.executable, "-m", "tests.realtime.outbox.writer"),
            *(str(transactions), str(threads), str(settle)),
        )

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        """Have the database do something and return its answer."""
        address = self.environ["DATABASE_URL"]
        if address.startswith("sqlite:"):
            file = address.removeprefix("sqlite:///")
            with closing(sqlite3.connect(file, timeout=30)) as lite, lite:
                return lite.execute(statement).fetchall()
        with psycopg.connect(address, autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def write(self, room: str, data: str, *, layer: str = "default") -> None:
        """Commit one entry, and tell nobody."""
        self.sql(
            "INSERT INTO realtime_outboxentry (layer, room, data, created_at, error) "
            f"VALUES ('{layer}', '{room}', '{data}', CURRENT_TIMESTAMP, '')"
        )

    def waiting(self) -> tuple[int, int]:
        """Return how many entries wait and how many were put aside."""
        [(entries, aside)] = self.sql("SELECT count(*), count(failed_at) FROM realtime_outboxentry")
        return entries - aside, aside

    async def numbers(self, room: str) -> list[int]:
        """Return what a room's history holds, in order."""
        return [json.loads(each.data)["number"] for each in await self.layer.history(room)]


@pytest.fixture(
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.needs("postgresql"))]
)
def kind(request: pytest.FixtureRequest) -> str:
    """Which database."""
    return str(request.param)


@pytest.fixture
def database(request: pytest.FixtureRequest, tmp_path: Path, kind: str) -> Iterator[str]:
    """The address of an empty database."""
    if kind == "sqlite":
        yield f"sqlite:///{tmp_path}/outbox.sqlite3"
        return
    with _new_database(request.getfixturevalue("postgresql")) as address:
        yield address


@pytest.fixture(scope="module")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the tables. Each test has a copy, as migrating takes seconds."""
    file = tmp_path_factory.mktemp("migrated") / "outbox.sqlite3"
    _migrate(f"sqlite:///{file}")
    return file


@pytest.fixture(scope="module")
def migrated_postgresql(postgresql_server: PostgreSQL) -> Iterator[str]:
    """The name of such a database."""
    if postgresql_server.pid is None:  # an earlier test stopped it
        postgresql_server.start()
    with _new_database(postgresql_server) as address:
        _migrate(address)
        yield address.rpartition("/")[2]
        if postgresql_server.pid is None:
            postgresql_server.start()


@pytest.fixture
def outbox(
    request: pytest.FixtureRequest, redis_server: EmbeddedValkey, tmp_path: Path, kind: str
) -> Iterator[Outbox]:
    """An outbox with its tables."""
    if kind == "sqlite":
        file = tmp_path / "outbox.sqlite3"
        shutil.copy(request.getfixturevalue("migrated_sqlite"), file)
        yield Outbox(f"sqlite:///{file}", redis_server, tmp_path)
        return
    migrated = request.getfixturevalue("migrated_postgresql")
    with _new_database(request.getfixturevalue("postgresql"), template=migrated) as address:
        yield Outbox(address, redis_server, tmp_path)


def _migrate(database: str) -> None:
    environ = {"DJANGO_SETTINGS_MODULE": SETTINGS, "DATABASE_URL": database}
    done = run_manage("migrate", "-v", "0", "--skip-checks", environ=environ)
    assert done.returncode == 0, done.stderr


@contextmanager
def _new_database(server: PostgreSQL, template: str = "template1") -> Iterator[str]:
    name = f"outbox_{uuid4().hex}"
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    yield f"{server.url.rpartition('/')[0]}/{name}"
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.timeout(300)
async def test_publications_arrive_once_and_in_order_whatever_step_the_relay_dies_at(
    outbox: Outbox,
) -> None:
    """Four threads write, and roll some back, until relays have died at each step three times."""
    deaths = [f"{step}:{1 + count % 4}" for count, step in enumerate(STEPS * DEATHS)]
    dying = (sys.executable, "-m", "tests.realtime.outbox.dying_relays", *deaths)
    with (
        outbox.writer(transactions=100_000, threads=4, settle=0.02) as writer,
        outbox.process(*dying, OUTBOX_LEASE="0.5") as relays,
    ):
        await until(lambda: not (relays.runs() and writer.runs()), within=2 * PATIENCE)
        assert writer.runs(), writer.output()
        assert relays.wait() == 0, relays.output()
        assert re.findall("Dies at ([a-z]+)", relays.output()) == [*STEPS] * DEATHS
        writer.send(signal.SIGTERM)
        await until(lambda: not writer.runs(), within=PATIENCE)
        committed: dict[str, list[int]] = json.loads(writer.output().splitlines()[-1])
    with outbox.relay() as relay:
        await until(lambda: "Publishing what the outbox" in relay.output(), within=PATIENCE)
        await until(lambda: _has_all(outbox, committed), within=PATIENCE)
        assert relay.stop() == 0, relay.output()
    for room, numbers in committed.items():
        assert await outbox.numbers(room) == numbers
        assert {number // 3 % ROLLED_BACK for number in numbers} == {*range(ROLLED_BACK - 1)}
    assert outbox.waiting() == (0, 0)


async def test_relay_that_stops_gives_its_lease_to_the_next_at_once(outbox: Outbox) -> None:
    """The second one goes on although the lease would have lasted for minutes."""
    first, second = (outbox.relay(OUTBOX_LEASE="300") for _ in range(2))
    with first:
        outbox.write("outbox.0", ONE)
        await until(lambda: _has_all(outbox, {"outbox.0": [1]}), within=PATIENCE)
        with second:
            await until(lambda: "Another relay works" in second.output(), within=PATIENCE)
            assert first.stop() == 0
            outbox.write("outbox.0", ONE)
            await until(lambda: _has_all(outbox, {"outbox.0": [1, 1]}), within=PATIENCE)


async def test_relay_whose_clock_is_ahead_does_not_keep_the_next_waiting(outbox: Outbox) -> None:
    """Its lease ends by the clock of the database, although it is killed an hour ahead of it."""
    lease = {"OUTBOX_LEASE": "3"}
    with outbox.process(sys.executable, "-c", HOUR_AHEAD, **lease) as ahead:
        outbox.write("outbox.0", ONE)
        await until(lambda: _has_all(outbox, {"outbox.0": [1]}), within=PATIENCE)
        ahead.stop(signal.SIGKILL)
    with outbox.relay(**lease) as relay:
        outbox.write("outbox.0", ONE)
        await until(lambda: _has_all(outbox, {"outbox.0": [1, 1]}), within=PATIENCE)
        assert relay.stop() == 0


async def test_database_that_was_restored_counts_under_a_new_name(outbox: Outbox) -> None:
    """Redis has seen later batches than the database has counted: nothing passes for published."""
    for count in (1, 2):
        outbox.write("outbox.0", ONE)
        with outbox.relay() as relay:
            await until(lambda: outbox.waiting() == (0, 0), within=PATIENCE)
            assert relay.stop() == 0
        assert await outbox.numbers("outbox.0") == [1] * count
        outbox.sql("UPDATE realtime_outboxlease SET next_batch = 1")
    assert "was restored" in relay.output()


async def test_entry_that_its_room_cant_take_is_put_aside_and_may_go_again(
    outbox: Outbox, redis_server: EmbeddedValkey
) -> None:
    """Others go on. With --retry-failed it is published."""
    outbox.write("bad name!", ONE)
    outbox.write("realtime-control", ONE)
    outbox.write("outbox.0", '{"number": 7}')
    outbox.write("outbox.0", '{"number": 8}', layer="gone")
    with outbox.relay() as relay:
        await until(lambda: _has_all(outbox, {"outbox.0": [7]}), within=PATIENCE)
        await until(lambda: outbox.waiting() == (0, 3), within=PATIENCE)
        assert "Outbox entry" in relay.output()
    outbox.sql("UPDATE realtime_outboxentry SET layer = 'default' WHERE layer = 'gone'")
    assert "3 entries will be tried again" in outbox.done(*manage("runoutbox", "--retry-failed"))
    with outbox.relay():
        await until(lambda: _has_all(outbox, {"outbox.0": [7, 8]}), within=PATIENCE)
        await until(lambda: outbox.waiting() == (0, 2), within=PATIENCE)


@pytest.mark.needs("postgresql")
@pytest.mark.parametrize("kind", ["postgresql"], indirect=True)
async def test_postgresql_tells_of_a_commit_at_once(outbox: Outbox) -> None:
    """Entries arrive before a relay that only looks each ten seconds would know of them."""
    with outbox.relay(OUTBOX_POLL="10", OUTBOX_LEASE="300") as relay:
        with outbox.writer(transactions=1, threads=1) as writer:
            await until(lambda: not writer.runs(), within=PATIENCE)
        await until(lambda: _has_all(outbox, {"outbox.0": [0, 1, 2]}), within=PATIENCE)
        ages = []
        with psycopg.connect(outbox.environ["DATABASE_URL"], autocommit=True) as connection:
            for number in range(3, 13):
                with connection.transaction():
                    connection.execute(
                        "INSERT INTO realtime_outboxentry (layer, room, data, created_at, error) "
                        "VALUES ('default', 'outbox.0', %s, now(), '')",
                        [json.dumps({"number": number})],
                    )
                    connection.execute("NOTIFY realtime_outbox")
                begun = time.monotonic()
                await until(lambda: _has_all(outbox, {"outbox.0": list(range(number + 1))}))  # noqa: B023
                ages.append(time.monotonic() - begun)
        assert sorted(ages)[4] < 5, ages  # seconds; it looks each ten when not told
        assert not re.search("Traceback", relay.output()), relay.output()


async def _has_all(outbox: Outbox, rooms: dict[str, list[int]]) -> bool:
    return all([await outbox.numbers(room) == numbers for room, numbers in rooms.items()])


def test_relay_without_tables_says_what_to_do(
    database: str, redis_server: EmbeddedValkey, tmp_path: Path
) -> None:
    """And works once somebody has migrated."""
    outbox = Outbox(database, redis_server, tmp_path)
    with outbox.relay() as relay:
        wait_until(
            lambda: "manage.py migrate --database default" in relay.output(), within=PATIENCE
        )
        _migrate(database)
        outbox.write("outbox.0", ONE)
        wait_until(lambda: outbox.waiting() == (0, 0), within=PATIENCE)
        assert relay.stop() == 0


def test_relay_waits_for_a_database_that_is_away(
    redis_server: EmbeddedValkey, tmp_path: Path
) -> None:
    """From its start on, as from any other moment; and ends at once when it is to."""
    away = f"postgres://nobody:nothing@127.0.0.1:{free_port()}/away"
    outbox = Outbox(away, redis_server, tmp_path)
    with outbox.relay() as relay:
        wait_until(lambda: "waiting for it" in relay.output(), within=PATIENCE)
        assert relay.runs()
        assert relay.stop() == 0
    with outbox.process(*manage("runoutbox", "--retry-failed")) as retried:
        wait_until(lambda: not retried.runs(), within=PATIENCE)
        assert "CommandError: The database 'default'" in retried.output()


@pytest.mark.needs("postgresql")
@pytest.mark.parametrize("kind", ["postgresql"], indirect=True)
def test_outage_of_postgresql_is_one_line(outbox: Outbox, postgresql: PostgreSQL) -> None:
    """And one when it is back, after which commits are heard of again."""
    with outbox.relay() as relay:
        relay.says("Publishing what the outbox")
        postgresql.stop()
        relay.says("waiting for it")
        time.sleep(FIRST_PAUSE + 1)  # in which both connections are tried again
        postgresql.start()
        relay.says("is back after")
        outbox.done(*manage("shell", "-v", "0", "-c", WRITE_ONE))
        wait_until(lambda: outbox.waiting() == (0, 0), within=PATIENCE)
        assert relay.stop() == 0
        said = relay.output()
    assert (said.count("is not available"), said.count("is back")) == (1, 1), said
    assert not re.search("Traceback|ERROR|tell of commits", said), said


@pytest.mark.needs("postgresql")
def test_relay_ends_though_its_database_hangs(redis_server: EmbeddedValkey, tmp_path: Path) -> None:
    """In limited time, with 1, and saying where it stood."""
    server = PostgreSQL()
    with server:
        outbox = Outbox(server.url, redis_server, tmp_path)
        _migrate(server.url)
        with outbox.relay() as relay:
            leased = "SELECT 1 FROM realtime_outboxlease WHERE holder <> ''"
            wait_until(lambda: outbox.sql(leased), within=PATIENCE)
            assert server.pid is not None
            sessions = psutil.Process(server.pid).children(recursive=True)
            with frozen([server.pid, *(each.pid for each in sessions)]):
                time.sleep(1.0)  # so that it asks
                relay.send(signal.SIGTERM)
                wait_until(lambda: not relay.runs(), within=STOP_TIMEOUT + 15)
                assert "The relay did not stop within" in relay.output()
    server.remove()
