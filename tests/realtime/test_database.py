"""A worker whose rule asks a database that is restarted: a real PostgreSQL."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

from demo.embedded import EmbeddedValkey, free_port
from demo.embedded.ports import answers
from tests.postgresql import PostgreSQL
from tests.realtime.process import BIN, Process
from tests.waiting import PATIENCE, wait_until

pytestmark = [pytest.mark.needs("postgresql"), pytest.mark.slow]


@pytest.fixture
def port(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    postgresql: PostgreSQL,
    redis_server: EmbeddedValkey,
) -> Iterator[int]:
    """The port of a worker whose database connections live as the parameter says."""
    max_age, health_checks = request.param
    port = free_port()
    process = Process(
        [str(BIN / "shardlayer-daphne"), "-p", str(port), "config.asgi:application"],
        log=tmp_path / "worker.log",
        DJANGO_SETTINGS_MODULE="tests.realtime.guarded_settings",
        DATABASE_URL=postgresql.url,
        REDIS_URL=redis_server.url,
        CONN_MAX_AGE=max_age,
        CONN_HEALTH_CHECKS=health_checks,
    )
    with process:
        wait_until(lambda: answers(port) or not process.runs())
        assert process.runs(), process.output()
        yield port


class Asker:
    """Subscribes to one new room after the other and tells what came of it."""

    def __init__(self, client: ClientConnection) -> None:
        self._client = client
        self._numbers = itertools.count(1)

    async def subscribe(self, room: str = "") -> str:
        """Return `subscribed`, or the code of the error."""
        number = next(self._numbers)
        command = {"id": number, "subscribe": {"room": room or f"room.{number}"}}
        await self._client.send(json.dumps(command))
        answer: dict[str, Any] = json.loads(await asyncio.wait_for(self._client.recv(), PATIENCE))
        assert answer["id"] == number
        return "subscribed" if "subscribed" in answer else answer["error"]["code"]


@pytest.mark.parametrize(
    ("port", "at_first"),
    [
        pytest.param(("0", "0"), "subscribed", id="connections for a command"),
        pytest.param(("none", "1"), "subscribed", id="checked connections for good"),
        # As the first request after a restart fails in Django.
        pytest.param(("none", "0"), "internal", id="connections for good"),
    ],
    indirect=["port"],
)
async def test_restarted_database_is_asked_again(
    port: int, at_first: str, postgresql: PostgreSQL
) -> None:
    """Who connected before the restart, and who comes after it, is let in."""
    url = f"ws://127.0.0.1:{port}/ws/"
    origin: Any = f"http://127.0.0.1:{port}"
    async with connect(url, origin=origin, proxy=None) as one:
        old = Asker(one)
        assert await old.subscribe() == "subscribed"
        assert await old.subscribe("closed") == "forbidden"
        await asyncio.to_thread(postgresql.stop)
        await asyncio.to_thread(postgresql.start)
        assert await old.subscribe() == at_first
        assert await old.subscribe() == "subscribed"
        async with connect(url, origin=origin, proxy=None) as other:
            new = Asker(other)
            assert await new.subscribe() == "subscribed"
            assert await new.subscribe("closed") == "forbidden"


@pytest.mark.parametrize("port", [pytest.param(("none", "0"), id="for good")], indirect=True)
async def test_database_that_is_away_comes_back(port: int, postgresql: PostgreSQL) -> None:
    """While the database is away a command answers `internal`, and none does when it is back."""
    url = f"ws://127.0.0.1:{port}/ws/"
    async with connect(url, origin=f"http://127.0.0.1:{port}", proxy=None) as client:  # type: ignore[arg-type]
        asker = Asker(client)
        assert await asker.subscribe() == "subscribed"
        await asyncio.to_thread(postgresql.stop)
        assert [await asker.subscribe() for _ in range(3)] == ["internal"] * 3
        await asyncio.to_thread(postgresql.start)
        assert [await asker.subscribe() for _ in range(3)] == ["subscribed"] * 3
