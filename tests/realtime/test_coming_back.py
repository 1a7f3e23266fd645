"""Workers that start anew, and users who are signed out: real processes and a real database.

The database is stopped while clients come back: so whatever asked it would fail.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from demo.embedded import EmbeddedValkey, free_port
from realtime.access.revocations import CLOCK_SKEW
from realtime.rooms.room_names import CONTROL_ROOM
from shardlayer import ShardedChannelLayer
from tests.postgresql import PostgreSQL
from tests.realtime.process import BIN, Process, run_manage
from tests.waiting import PATIENCE, until

USERS = 4
CLIENTS = 200

SIGN_IN = f"""
from django.contrib.auth.models import User
from tests.realtime.users import cookie_of
for number in range({USERS}):
    print("cookie", cookie_of(User.objects.create_user(f"user-{{number}}", password="x")))
"""

pytestmark = [pytest.mark.needs("postgresql"), pytest.mark.slow]


class Site:
    """Workers, their Redis and their database."""

    def __init__(self, postgresql: PostgreSQL, redis: EmbeddedValkey, folder: Path) -> None:
        self.postgresql = postgresql
        self._folder = folder
        self._stack = ExitStack()
        self.environ = {
            "DJANGO_SETTINGS_MODULE": "tests.realtime.guarded_settings",
            "DATABASE_URL": postgresql.url,
            "REDIS_URL": redis.url,
            "CONN_MAX_AGE": "0",
            "CONN_HEALTH_CHECKS": "0",
        }

    def run(self, *command: str) -> list[str]:
        """Run a management command; return the lines that it wrote."""
        done = run_manage(*command, environ=self.environ)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    def start(self) -> int:
        """Start a worker; return its port."""
        port = free_port()
        process = Process(
            [str(BIN / "shardlayer-daphne"), "-p", str(port), "config.asgi:application"],
            log=self._folder / f"worker-{port}.log",
            **self.environ,
        )
        self._stack.enter_context(process)
        process.serves(port)
        return port

    async def log_is_old(self) -> None:
        """Wait until the log of who was signed out is older than what follows, by any clock."""
        layer = ShardedChannelLayer(hosts=[self.environ["REDIS_URL"]])

        async def has_begun() -> bool:
            return bool(await layer.history(CONTROL_ROOM))

        try:
            await until(has_begun)
        finally:
            await layer.close()
        await asyncio.sleep(CLOCK_SKEW)

    def stop(self) -> None:
        """Stop all workers."""
        self._stack.close()


@pytest.fixture
def site(tmp_path: Path, postgresql: PostgreSQL, redis_server: EmbeddedValkey) -> Iterator[Site]:
    """A site whose tables are made."""
    made = Site(postgresql, redis_server, tmp_path)
    made.run("migrate", "--verbosity", "0")
    yield made
    made.stop()
    if postgresql.pid is None:
        postgresql.start()
    made.run("flush", "--no-input", "--verbosity", "0")


class Tab:
    """One client, with the cookie of its browser."""

    def __init__(self, cookie: str) -> None:
        self._cookie = cookie
        self._client: ClientConnection | None = None
        self.note = ""

    async def open(self, stack: AsyncExitStack, port: int) -> None:
        """Connect to a worker."""
        self._client = await stack.enter_async_context(
            connect(
                f"ws://127.0.0.1:{port}/ws/",
                origin=f"http://127.0.0.1:{port}",  # type: ignore[arg-type]
                additional_headers={"Cookie": self._cookie},
                proxy=None,
                open_timeout=PATIENCE,
            )
        )

    async def ask(self, **command: Any) -> dict[str, Any]:
        """Send a command and return its answer."""
        assert self._client is not None
        await self._client.send(json.dumps({"id": 1, **command}))
        answer: dict[str, Any] = json.loads(await asyncio.wait_for(self._client.recv(), PATIENCE))
        return answer

    async def closed(self) -> int:
        """Wait until the worker closes; return the code."""
        assert self._client is not None
        with pytest.raises(ConnectionClosed) as ended:
            await asyncio.wait_for(self._client.recv(), PATIENCE)
        assert ended.value.rcvd is not None
        return ended.value.rcvd.code


def tabs(cookies: Sequence[str], count: int) -> list[Tab]:
    """Return so many clients, of all users in turn."""
    return [Tab(cookies[number % len(cookies)]) for number in range(count)]


def signed_in(site: Site) -> list[str]:
    """Make users and sign them in; return the cookies of their sessions."""
    lines = site.run("shell", "-c", SIGN_IN)
    return [line.partition(" ")[2] for line in lines if line.startswith("cookie ")]


async def knows_the_log(port: int, cookie: str, note: str) -> None:
    """Wait until a worker that has just begun lets come back who has a note.

    It has read by then who was signed out. A client does not wait long for that, and a busy
    machine may take longer.
    """
    async with asyncio.timeout(PATIENCE):
        while True:
            async with AsyncExitStack() as stack:
                probe = Tab(cookie)
                await probe.open(stack, port)
                if (await probe.ask(connect={"note": note}))["connected"]["resumed"]:
                    return


async def test_all_come_back_without_a_database(site: Site) -> None:
    """Workers start anew while the database is away: who has a note is in, and nobody else."""
    cookies = signed_in(site)
    clients = tabs(cookies, CLIENTS)
    async with AsyncExitStack() as stack:
        port = site.start()
        for client in clients:
            await client.open(stack, port)
            assert "subscribed" in await client.ask(subscribe={"room": "orders"})
            assert (await client.ask(connect={}))["connected"]["user"]
        await site.log_is_old()
        for client in clients:
            client.note = (await client.ask(note={}))["note"]["note"]
    site.stop()
    await asyncio.to_thread(site.postgresql.stop)

    async def come_back(stack: AsyncExitStack, client: Tab, port: int) -> None:
        await client.open(stack, port)
        answer = (await client.ask(connect={"note": client.note}))["connected"]
        assert (answer["resumed"], answer["user"] is None) == (True, False)
        assert "subscribed" in await client.ask(subscribe={"room": "orders"})

    async with AsyncExitStack() as stack:
        ports = [site.start(), site.start()]
        for port in ports:
            await knows_the_log(port, cookies[0], clients[0].note)
        await asyncio.gather(
            *(come_back(stack, client, ports[number % 2]) for number, client in enumerate(clients))
        )
        newcomer = Tab(cookies[0])
        await newcomer.open(stack, ports[0])
        answer = await newcomer.ask(subscribe={"room": "orders"})
        assert answer["error"]["code"] == "internal"  # the database is really away


async def test_signed_out_on_every_worker_and_on_those_to_come(site: Site) -> None:
    """A command in another process closes a user's clients, and their notes count nowhere."""
    cookies = signed_in(site)
    first, second, other = Tab(cookies[0]), Tab(cookies[0]), Tab(cookies[1])
    async with AsyncExitStack() as stack:
        ports = [site.start(), site.start()]
        for client, port in ((first, ports[0]), (second, ports[1]), (other, ports[1])):
            await client.open(stack, port)
            await client.ask(connect={})
        await site.log_is_old()
        for client in (first, second, other):
            client.note = (await client.ask(note={}))["note"]["note"]
        watching = [asyncio.create_task(client.closed()) for client in (first, second)]
        await asyncio.to_thread(site.run, "disconnect", "user-0")
        began = time.monotonic()
        assert await asyncio.gather(*watching) == [4002, 4002]
        assert time.monotonic() - began < 5  # within a second, on a machine that is not busy
        ports.append(await asyncio.to_thread(site.start))
        for port in ports:
            await knows_the_log(port, cookies[1], other.note)
            again = Tab(cookies[0])
            await again.open(stack, port)
            assert not (await again.ask(connect={"note": first.note}))["connected"]["resumed"]
            still = Tab(cookies[1])
            await still.open(stack, port)
            assert (await still.ask(connect={"note": other.note}))["connected"]["resumed"]
        assert (await other.ask(connect={}))["connected"]["user"] == "user-1"
