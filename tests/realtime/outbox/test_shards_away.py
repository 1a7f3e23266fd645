"""A relay that begins while one of two servers hangs: the other's rows go out, each once."""

from __future__ import annotations

import json
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, closing, suppress
from pathlib import Path
from uuid import uuid4

import pytest

from demo.embedded import EmbeddedValkey
from shardlayer import ShardedChannelLayer, ShardUnavailable
from tests.frozen import frozen
from tests.realtime.process import Process, manage, run_manage
from tests.waiting import until

pytestmark = pytest.mark.slow

HISTORY = {"outbox.*": {"size": 10_000, "ttl": 3600}}


class World:
    """Two servers, a database with an outbox, and relays."""

    def __init__(self, servers: list[EmbeddedValkey], tmp_path: Path) -> None:
        urls = [server.url for server in servers]
        self.layer = ShardedChannelLayer(hosts=urls, history=HISTORY, publish_timeout=0.5)
        rooms = [f"outbox.{number}" for number in range(1000)]
        shard_of = self.layer.shard_of
        self.here = next(room for room in rooms if shard_of(room) % 2 == 0)
        self.away = next(room for room in rooms if shard_of(room) % 2)
        self._server = servers[1]
        self._tmp_path = tmp_path
        self._file = tmp_path / "outbox.sqlite3"
        self.environ = {
            "DJANGO_SETTINGS_MODULE": "tests.realtime.outbox.outbox_settings",
            "DATABASE_URL": f"sqlite:///{self._file}",
            "REDIS_URL": ",".join(urls),
        }
        done = run_manage("migrate", "-v", "0", "--skip-checks", environ=self.environ)
        assert done.returncode == 0, done.stderr

    def relay(self) -> Process:
        """Return a relay, not yet started."""
        return self._process(*manage("runoutbox"))

    def dying(self, death: str) -> Process:
        """Return a relay that dies at a step, see dying_relays.py."""
        return self._process(sys.executable, "-m", "tests.realtime.outbox.dying_relays", death)

    def without_second(self) -> AbstractContextManager[None]:
        """Have the second server hang meanwhile."""
        assert self._server.pid is not None
        return frozen([self._server.pid])

    def write(self, room: str, *numbers: int) -> None:
        """Commit entries."""
        for number in numbers:
            self.sql(
                "INSERT INTO realtime_outboxentry (layer, room, data, created_at, error) VALUES "
                f"('default', '{room}', '{{\"number\": {number}}}', CURRENT_TIMESTAMP, '')"
            )

    def sql(self, statement: str) -> list[tuple[object, ...]]:
        """Have the database do something and return its answer."""
        with closing(sqlite3.connect(self._file, timeout=30)) as lite, lite:
            return lite.execute(statement).fetchall()

    def source(self) -> object:
        """Return the outbox's name in marks."""
        return self.sql("SELECT source FROM realtime_outboxlease")[0][0]

    def waits(self, count: int) -> Callable[[], bool]:
        """Return what tells whether so many entries wait."""
        return lambda: self.sql("SELECT count(*) FROM realtime_outboxentry") == [(count,)]

    def has(self, room: str, *numbers: int) -> Callable[[], object]:
        """Return what tells whether a room's history holds these, in order."""

        async def has() -> bool:
            with suppress(ShardUnavailable):
                return await self.numbers(room) == [*numbers]
            return False

        return has

    async def numbers(self, room: str) -> list[int]:
        """Return what a room's history holds, in order."""
        return [json.loads(each.data)["number"] for each in await self.layer.history(room)]

    def _process(self, *command: str) -> Process:
        log = self._tmp_path / f"{uuid4().hex}.log"
        return Process(list(command), log=log, **self.environ)


@pytest.fixture
def second_server(tmp_path: Path) -> Iterator[EmbeddedValkey]:
    """A server beside the shared one, which may hang."""
    directory = tmp_path / "second"
    directory.mkdir()
    server = EmbeddedValkey(directory=directory)
    server.start()
    yield server
    server.kill()


@pytest.fixture
async def world(
    redis_server: EmbeddedValkey, second_server: EmbeddedValkey, tmp_path: Path
) -> AsyncIterator[World]:
    """Even shards live on the first server."""
    world = World([redis_server, second_server], tmp_path)
    yield world
    await world.layer.close()


async def test_rows_for_the_other_server_go_out(world: World) -> None:
    """Those for the one that is away follow once it is back, in order."""
    with world.relay() as relay:
        with world.without_second():
            world.write(world.away, 1)
            world.write(world.here, *range(20))
            await until(world.has(world.here, *range(20)))
            world.write(world.away, 2)
            await until(lambda: "Redis is not available" in relay.output())
            assert world.sql("SELECT count(*) FROM realtime_outboxentry WHERE batch > 0") == [(0,)]
            assert relay.runs()
        await until(world.waits(0))
        await until(world.has(world.away, 1, 2))
        assert relay.stop() == 0
    assert await world.numbers(world.here) == [*range(20)]


@pytest.mark.parametrize("death", ["taken:1", "published:1"])
async def test_rows_that_a_relay_had_taken_wait_for_their_server(world: World, death: str) -> None:
    """Whether it published them is known only there; rows of the other server go on."""
    world.write(world.away, 1, 2)
    with world.dying(death) as dying:
        assert dying.wait() == 0, dying.output()
    with world.relay() as relay:
        with world.without_second():
            world.write(world.here, 1, 2, 3)
            await until(world.has(world.here, 1, 2, 3))
            world.write(world.away, 3)
        await until(world.waits(0))
        assert relay.stop() == 0
    assert await world.numbers(world.away) == [1, 2, 3]
    assert await world.numbers(world.here) == [1, 2, 3]


async def test_relays_that_die_meanwhile_leave_nothing_in_doubt(world: World) -> None:
    """What one published to the server that answers is known there, whoever comes next."""
    with world.without_second():
        world.write(world.away, 1)
        for number, death in enumerate(("taken:1", "published:1", "deleted:1")):
            world.write(world.here, number)
            with world.dying(death) as dying:
                assert dying.wait() == 0, dying.output()
        with world.relay() as relay:
            await until(world.waits(1))
            relay.stop(signal.SIGKILL)
    with world.relay() as relay:
        await until(world.waits(0))
        assert relay.stop() == 0
    assert await world.numbers(world.here) == [0, 1, 2]
    assert await world.numbers(world.away) == [1]


async def _publish(world: World, room: str, *numbers: int) -> None:
    """Have relays publish entries, each in a batch of its own."""
    for number in numbers:
        world.write(room, number)
        with world.relay() as relay:
            await until(world.waits(0))
            assert relay.stop() == 0


async def test_server_that_is_back_shows_that_the_database_was_restored(world: World) -> None:
    """The outbox gets another name then; nothing counts as published, and nothing comes twice."""
    await _publish(world, world.away, 1, 2)
    world.sql("UPDATE realtime_outboxlease SET next_batch = 1")
    source = world.source()
    with world.relay() as relay:
        with world.without_second():
            world.write(world.away, 3)
            world.write(world.here, 1)
            await until(world.has(world.here, 1))
            await until(world.waits(1))
        await until(world.waits(0))
        world.write(world.here, 2)
        world.write(world.away, 4)
        await until(world.waits(0))
        assert relay.stop() == 0
        assert "restored from a backup. The outbox goes on under a new name" in relay.output()
    assert world.source() != source
    assert await world.numbers(world.away) == [1, 2, 3, 4]
    assert await world.numbers(world.here) == [1, 2]


async def test_rows_in_doubt_of_a_restored_database_keep_their_marks(world: World) -> None:
    """The outbox keeps its name while Redis may have some, and counts on behind what it has seen.

    The backup has a row that was taken. Redis had it before, and has seen later batches.
    """
    world.write(world.away, 1)
    with world.dying("published:1") as dying:
        assert dying.wait() == 0, dying.output()
    with world.relay() as relay:
        await until(world.waits(0))
        assert relay.stop() == 0
    await _publish(world, world.here, 1, 2, 3)
    world.write(world.away, 1)  # as the backup has it: in batch 1
    world.sql("UPDATE realtime_outboxentry SET batch = 1, id = 1")
    world.sql("UPDATE realtime_outboxlease SET next_batch = 2")
    source = world.source()
    with world.relay() as relay:
        with world.without_second():
            world.write(world.here, 4)
            world.write(world.away, 2)
            await until(world.has(world.here, 1, 2, 3, 4))
        await until(world.waits(0))
        assert relay.stop() == 0
        assert "The outbox goes on behind that batch" in relay.output()
    assert world.source() == source
    assert await world.numbers(world.away) == [1, 2]
    assert await world.numbers(world.here) == [1, 2, 3, 4]
