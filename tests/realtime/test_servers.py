"""One scenario on four servers: our own, stock Daphne, uvicorn and manage.py runserver.

Each is started before Redis, says so, and goes on when Redis comes.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from socketserver import BaseRequestHandler, TCPServer
from threading import Thread
from typing import Any

import pytest
from pytest_django import Settings
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from demo.embedded import EmbeddedValkey, free_port
from realtime import apublish
from realtime.sharded_layer import sharded_layer
from tests.realtime.conftest import channel_layers
from tests.realtime.process import BIN, Process, manage
from tests.waiting import PATIENCE, wait_until

PORT_ATTEMPTS = 5  # servers, until one finds its port free
APPLICATION = "config.asgi:application"


def command(server: str, port: int) -> list[str]:
    """Return the command line of a server."""
    address = ("127.0.0.1", str(port))
    match server:
        case "uvicorn":
            host, number = address
            return [
                *(sys.executable, "-m", "uvicorn", APPLICATION),
                *("--host", host, "--port", number, "--lifespan", "off"),
            ]
        case "runserver":
            return manage("runserver", "--noreload", ":".join(address))
        case _:
            return [str(BIN / server), "-b", address[0], "-p", address[1], APPLICATION]


class Site:
    """A server of the project, and a Redis that is not up yet."""

    def __init__(self, port: int, redis: EmbeddedValkey, process: Process) -> None:
        self.port = port
        self.redis = redis
        self.process = process

    def get(self, path: str) -> tuple[int, Any]:
        """Return status and JSON of a page; status 0 while nobody serves it."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        except (OSError, HTTPException):  # the port may be another program's by now
            return 0, None
        finally:
            connection.close()

    def connect(
        self, query: str = "", *, path: str = "/ws/", origin: str = "", token: str = ""
    ) -> connect:
        """Return a WebSocket that is about to be opened; a token goes with the handshake."""
        names = ["shardlayer", f"shardlayer-token.{token}"] if token else None
        origin = origin or f"http://127.0.0.1:{self.port}"
        return connect(
            f"ws://127.0.0.1:{self.port}{path}{query}",
            origin=origin,  # type: ignore[arg-type]
            subprotocols=names,  # type: ignore[arg-type]
            proxy=None,
            open_timeout=PATIENCE,
            max_size=None,
        )


@contextmanager
def running(server: str, directory: Path, settings: str = "impatient_settings") -> Iterator[Site]:
    """A running server that has not seen Redis yet."""
    redis = EmbeddedValkey(directory=directory / "redis", port=free_port())
    with ExitStack() as stack:
        for _ in range(PORT_ATTEMPTS):
            port = free_port()
            process = stack.enter_context(
                Process(
                    command(server, port),
                    log=directory / "server.log",
                    DJANGO_SETTINGS_MODULE=f"tests.realtime.{settings}",
                    DATABASE_URL=f"sqlite:///{directory}/db.sqlite3",
                    REDIS_URL=f"redis://127.0.0.1:{redis.port}",
                )
            )
            found = Site(port, redis, process)
            wait_until(partial(_is_up_or_ended, found), what="The server did not start.")
            if process.runs() or "in use" not in process.output():
                break  # else somebody took the port first
        assert process.runs(), process.output()
        yield found
    redis.stop()


def _is_up_or_ended(site: Site) -> bool:
    if not site.process.runs():
        return True
    # Another program that has the port would answer as well.
    return site.get("/health/live")[0] == 200 and site.process.listens_on(site.port)


@pytest.fixture(params=["shardlayer-daphne", "daphne", "uvicorn", "runserver"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """Each server in turn."""
    with running(request.param, tmp_path) as found:
        yield found


@pytest.mark.parametrize("server", ["shardlayer-daphne", "daphne", "uvicorn", "runserver"])
def test_port_that_somebody_took_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: str
) -> None:
    """These tests don't take a stranger for the server: they start it on another port."""
    with TCPServer(("127.0.0.1", 0), BaseRequestHandler) as stranger:  # hangs up
        thread = Thread(target=stranger.serve_forever, args=[0.01])
        thread.start()
        try:
            ports = iter([free_port(), stranger.server_address[1], free_port()])
            monkeypatch.setattr(f"{__name__}.free_port", lambda: next(ports))
            with running(server, tmp_path) as site:
                assert site.port != stranger.server_address[1]
                assert site.get("/health/live")[0] == 200
        finally:
            stranger.shutdown()
            thread.join()


async def ask(client: ClientConnection, id: int, **body: Any) -> dict[str, Any]:
    """Send a command and return the next message."""
    await client.send(json.dumps({"id": id, **body}))
    return await receive(client)


async def receive(client: ClientConnection) -> dict[str, Any]:
    """Return the next message."""
    text = await asyncio.wait_for(client.recv(), PATIENCE)
    message: dict[str, Any] = json.loads(text)
    return message


async def test_scenario(site: Site, settings: Settings) -> None:
    """Every server serves the same, from before Redis is there to a client's last word."""
    await before_redis(site)
    await asyncio.to_thread(site.redis.start)
    await redis_is_noticed(site)
    settings.CHANNEL_LAYERS = channel_layers(hosts=[site.redis.url])
    try:
        async with site.connect("?room=machine.cpu") as ada, site.connect() as bob:
            await subscribing(ada, bob)
            await talking(ada, bob)
            await leaving(ada, bob)
    finally:
        await sharded_layer().close()
    await bringing_a_token(site)
    await going_away(site)
    # A busy machine may take longer than a look at Redis waits.
    await asyncio.to_thread(
        wait_until, lambda: site.get("/health/ready")[0] == 200, what="It is not ready."
    )
    assert "Traceback" not in site.process.output()


async def before_redis(site: Site) -> None:
    """Without Redis the server lives, is not ready, and says so to clients and in its log."""
    assert (await asyncio.to_thread(site.get, "/health/ready"))[0] == 503
    async with site.connect() as client:
        assert (await ask(client, 1, ping={})) == {"id": 1, "pong": {}}
        error = (await ask(client, 2, subscribe={"room": "machine.cpu"}))["error"]
        assert error["code"] == "unavailable"
    address = f"redis://127.0.0.1:{site.redis.port}"
    await asyncio.to_thread(site.process.says, f"Can't hear {address}")


async def redis_is_noticed(site: Site) -> None:
    """The server goes on by itself: a client that asks again is let in."""
    async with asyncio.timeout(PATIENCE), site.connect() as client:
        for id in itertools.count(1):
            if "subscribed" in await ask(client, id, subscribe={"room": "warming.up"}):
                return


async def bringing_a_token(site: Site) -> None:
    """A token in the handshake reaches the application; the server takes the other subprotocol."""
    async with site.connect("?room=machine.cpu", token="eA") as client:
        assert client.subprotocol == "shardlayer"
        answer = await receive(client)
        assert (answer["id"], answer["error"]["code"]) == (0, "bad_token")
        with pytest.raises(ConnectionClosed) as closed:
            await receive(client)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4001


async def subscribing(ada: ClientConnection, bob: ClientConnection) -> None:
    """One is subscribed by the URL, the other by a list of two."""
    assert await receive(ada) == {
        "id": 0,
        "subscribed": [await subscribed("machine.cpu")],
    }
    answer = await ask(bob, 1, subscribe=[{"room": "machine.cpu"}, {"room": "chat.lobby"}])
    assert [item["room"] for item in answer["subscribed"]] == ["machine.cpu", "chat.lobby"]
    for number in range(3):
        await apublish("machine.cpu", {"n": number})
    for client in (ada, bob):
        for number in range(3):
            push = await receive(client)
            assert push == {"room": "machine.cpu", "offset": number + 1, "data": {"n": number}}


async def subscribed(room: str) -> dict[str, Any]:
    """Return what a client is told of a room that has no publications yet."""
    info = await sharded_layer().room_info(room)
    return {
        "room": room,
        "offset": 0,
        "epoch": info.epoch,
        "recovered": False,
        "publications": [],
    }


async def talking(ada: ClientConnection, bob: ClientConnection) -> None:
    """Chat reaches the other; errors reach only who made them and break nothing."""
    answer = await ask(ada, 1, publish={"room": "chat.lobby", "data": {"text": "hello €"}})
    assert answer["published"]["offset"] == 1
    assert (await receive(bob))["data"] == {"text": "hello €"}
    assert (await ask(ada, 2, publish={"room": "news", "data": 1}))["error"]["code"] == "forbidden"
    await ada.send("{")
    assert (await receive(ada))["error"]["code"] == "bad_json"
    await ada.send(json.dumps({"id": 3, "publish": {"room": "chat.a", "data": "x" * 70_000}}))
    assert (await receive(ada))["error"]["code"] == "too_large"


async def leaving(ada: ClientConnection, bob: ClientConnection) -> None:
    """Who unsubscribed hears nothing of the room, and other rooms go on."""
    assert "unsubscribed" in await ask(bob, 4, unsubscribe={"room": "machine.cpu"})
    await apublish("machine.cpu", {"n": 3})
    assert (await receive(ada))["data"] == {"n": 3}
    await apublish("chat.lobby", {"text": "bye"})
    assert (await receive(bob))["data"] == {"text": "bye"}
    assert await ask(bob, 5, ping={}) == {"id": 5, "pong": {}}


async def going_away(site: Site) -> None:
    """A binary frame closes, for good; other origins and addresses are not let in."""
    async with site.connect() as client:
        await client.send(b"binary")
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(client.recv(), PATIENCE)
        assert client.close_code in (1003, 4009)  # stock Daphne can't send the first
    with pytest.raises(InvalidStatus) as refused:
        await site.connect(origin="http://evil.example")
    assert refused.value.response.status_code == 403
    with pytest.raises(InvalidStatus) as refused:
        await site.connect(path="/elsewhere/")
    assert refused.value.response.status_code == 403
