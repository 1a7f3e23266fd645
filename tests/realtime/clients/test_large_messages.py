"""What a server can't send: stock Daphne sends no message over 1 MiB, and raises instead.

Its connection used to stay, answer pings with nothing, and hear no publication ever again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from realtime import apublish
from realtime.sharded_layer import sharded_layer
from tests.realtime.conftest import channel_layers
from tests.realtime.test_servers import Site, ask, receive, running
from tests.waiting import PATIENCE

pytestmark = pytest.mark.slow

ROOM = "big"
LARGE = "x" * (1024 * 1024 - 10)  # as a publication less than the layer takes, as a push more


@asynccontextmanager
async def layer_of(site: Site, settings: Settings) -> AsyncIterator[None]:
    """The layer that the server works on, in this process; Redis is up."""
    await asyncio.to_thread(site.redis.start)
    settings.CHANNEL_LAYERS = channel_layers(hosts=[site.redis.url])
    try:
        await apublish(ROOM, "before")
        yield
    finally:
        await sharded_layer().close()


async def subscribed(client: ClientConnection, **since: Any) -> dict[str, Any]:
    """Subscribe, also to a server that has yet to notice Redis, and return the answer."""
    async with asyncio.timeout(PATIENCE):
        for id in range(1, 1_000):
            answer = await ask(client, id, subscribe={"room": ROOM, **since})
            if "subscribed" in answer:
                found: dict[str, Any] = answer["subscribed"]
                return found
    raise AssertionError("never subscribed")


async def closed(client: ClientConnection) -> int | None:
    """Return the code that the connection is closed with."""
    with pytest.raises(ConnectionClosed):
        await asyncio.wait_for(client.recv(), PATIENCE)
    return client.close_code


@pytest.mark.parametrize("server", ["daphne", "uvicorn", "runserver"])
async def test_client_comes_back_and_is_told(
    server: str, tmp_path: Path, settings: Settings
) -> None:
    """A publication that is too large for the server is told as gone; what follows comes."""
    with running(server, tmp_path) as site:
        async with layer_of(site, settings):
            async with site.connect() as client:
                position = await subscribed(client)
                for data in ("small", LARGE, "after"):
                    await apublish(ROOM, data)
                assert (await receive(client))["data"] == "small"
                assert await closed(client) == 4008
            since = {"offset": position["offset"] + 1, "epoch": position["epoch"]}
            async with site.connect() as client:
                assert (await subscribed(client, **since))["recovered"] is True
                lost = {"offset": 3, "epoch": position["epoch"]}
                assert await receive(client) == {"room": ROOM, "reset": lost}
                assert (await receive(client))["data"] == "after"
                await apublish(ROOM, "live")
                assert (await receive(client))["data"] == "live"
                read = (await ask(client, 9_999, history={"room": ROOM}))["history"]
                kept = [item["data"] for item in read["publications"]]
                assert kept in (["after", "live"], ["before", "small", "after", "live"])
        assert "Traceback" not in site.process.output()


@pytest.mark.parametrize("server", ["daphne", "runserver"])
async def test_refused_message_ends_the_connection(
    server: str, tmp_path: Path, settings: Settings
) -> None:
    """Where nobody said how much the server sends, its refusal closes, and lets come back."""
    with running(server, tmp_path, "unaware_settings") as site:
        async with layer_of(site, settings), site.connect() as client:
            await subscribed(client)
            await apublish(ROOM, LARGE)
            assert await closed(client) == 4008
        site.process.says("A message could not be sent")
        assert "Traceback" not in site.process.output()


@pytest.mark.parametrize(
    ("server", "setting"),
    [("uvicorn", "unaware_settings"), ("shardlayer-daphne", "impatient_settings")],
)
async def test_server_that_sends_it(
    server: str, setting: str, tmp_path: Path, settings: Settings
) -> None:
    """Where a message of any size is sent, it comes."""
    with running(server, tmp_path, setting) as site:
        async with layer_of(site, settings), site.connect() as client:
            await subscribed(client)
            for data in (LARGE, "after"):
                await apublish(ROOM, data)
            assert (await receive(client))["data"] == LARGE
            assert (await receive(client))["data"] == "after"
