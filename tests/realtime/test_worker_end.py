"""What a worker that is stopped leaves behind: nothing in Redis, and no client without a word."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from demo.embedded import EmbeddedValkey, free_port
from shardlayer import ShardedChannelLayer
from shardlayer.broker.redis.keys import ShardKeys
from shardlayer.core.options import PREFIX, SHARDS
from shardlayer.core.sharding import hash_tags
from tests.realtime.process import BIN, Process
from tests.waiting import PATIENCE, until

TAGS = hash_tags(PREFIX, SHARDS)
PROJECT = "config.asgi:application"
WITHOUT_LIFESPAN = "tests.realtime.asgi_without_lifespan:application"


def ours(port: int, application: str, *options: str) -> list[str]:
    """Return the command of our server."""
    address = ("-b", "127.0.0.1", "-p", str(port))
    return [str(BIN / "shardlayer-daphne"), *address, *options, application]


def uvicorn(port: int, application: str) -> list[str]:
    """Return the command of uvicorn, which tells the application of its end."""
    return [sys.executable, "-m", "uvicorn", application, "--port", str(port)]


class Worker:
    """A worker of the project, and its Redis."""

    def __init__(self, process: Process, port: int, redis: EmbeddedValkey) -> None:
        self.process = process
        self.redis = redis
        self._port = port

    def connect(self, query: str = "") -> connect:
        """Return a WebSocket that is about to be opened."""
        address = f"127.0.0.1:{self._port}"
        return connect(
            f"ws://{address}/ws/{query}",
            origin=f"http://{address}",  # type: ignore[arg-type]
            proxy=None,
            open_timeout=PATIENCE,
        )

    async def is_up(self) -> bool:
        """Tell whether it serves."""
        assert self.process.runs(), self.process.output()
        try:
            async with self.connect():
                return True
        except OSError:
            return False

    def health(self) -> tuple[int, Any]:
        """Return the status and the body of the health check, asked by any name."""
        with socket.create_connection(("127.0.0.1", self._port), PATIENCE) as connection:
            connection.sendall(b"GET /health/ready HTTP/1.1\r\nHost: a.probe.invalid\r\n\r\n")
            response = HTTPResponse(connection)
            response.begin()
            return response.status, json.loads(response.read())

    async def leases(self) -> int:
        """Return how many leases of nodes the shards have."""
        async with Redis.from_url(self.redis.url) as redis:
            return sum([await redis.zcard(ShardKeys(tag).alive) for tag in TAGS])


@contextmanager
def running(command: list[str], port: int, directory: Path) -> Iterator[Worker]:
    """A worker that may not be up yet."""
    with EmbeddedValkey(directory=directory / "redis") as redis:
        worker = Process(
            command,
            log=directory / "server.log",
            DJANGO_SETTINGS_MODULE="config.settings",
            DATABASE_URL=f"sqlite:///{directory}/db.sqlite3",
            REDIS_URL=redis.url,
        )
        with worker:
            yield Worker(worker, port, redis)


async def last_words(client: ClientConnection) -> tuple[list[dict[str, object]], int | None]:
    """Return what a client gets until it is closed, and the code."""
    heard = []
    try:
        while True:
            heard.append(json.loads(await asyncio.wait_for(client.recv(), PATIENCE)))
    except ConnectionClosed:
        return heard, client.close_code


@pytest.mark.parametrize("server", ["ours", "without lifespan", "uvicorn"])
async def test_leases_are_given_back(tmp_path: Path, server: str) -> None:
    """A worker that is stopped leaves the registries, and its clients are told to come back."""
    port = free_port()
    command = {
        "ours": ours(port, PROJECT),
        "without lifespan": ours(port, WITHOUT_LIFESPAN),
        "uvicorn": uvicorn(port, PROJECT),
    }[server]
    with running(command, port, tmp_path) as worker:
        await until(worker.is_up)
        async with worker.connect("?room=lobby") as client:
            assert "subscribed" in json.loads(await client.recv())
            await until(worker.leases)
            worker.process.send(signal.SIGTERM)
            heard, code = await last_words(client)
        assert code == 1012
        if server != "uvicorn":  # which closes the connections before it tells the application
            [word] = heard
            assert isinstance(word["reconnect"], dict)
            assert 0 <= word["reconnect"]["after_ms"] <= 1000
        await asyncio.to_thread(worker.process.wait)
        assert await worker.leases() == 0
    output = worker.process.output()
    assert "Traceback" not in output


@pytest.mark.parametrize("thaws", [True, False], ids=["Redis answers again", "Redis hangs"])
async def test_publication_under_way(tmp_path: Path, thaws: bool) -> None:
    """What was taken on is acknowledged before the worker ends, or is given up: it ends with 0."""
    port = free_port()
    command = ours(port, PROJECT, "--drain-seconds", "0")
    with running(command, port, tmp_path) as worker:
        await until(worker.is_up)
        layer = ShardedChannelLayer(hosts=[worker.redis.url])
        async with worker.connect() as client:
            await client.send('{"id":1,"publish":{"room":"chat.a","data":1}}')
            assert "published" in json.loads(await client.recv())
            assert worker.redis.pid is not None
            os.kill(worker.redis.pid, signal.SIGSTOP)
            try:
                await client.send('{"id":2,"publish":{"room":"chat.a","data":2}}')
                await client.send('{"id":3,"ping":{}}')
                worker.process.send(signal.SIGTERM)
                heard, code = await last_words(client)
                assert code == 1012
                assert not any("published" in each for each in heard)
                if not thaws:
                    assert await asyncio.to_thread(worker.process.wait) == 0
            finally:
                os.kill(worker.redis.pid, signal.SIGCONT)
            if thaws:
                assert await asyncio.to_thread(worker.process.wait) == 0
                held = await layer.history("chat.a")
                assert [each.data for each in held] == [b"1", b"2"]
        await layer.close()
    assert "Traceback" not in worker.process.output()


async def test_health_of_a_worker(tmp_path: Path) -> None:
    """A probe learns that the worker is ready, full, and that it stops, until it has stopped."""
    port, clients = free_port(), 400  # of whom a hundred are told to go in a second
    command = ours(port, PROJECT, "--capacity", str(clients), "--drain-seconds", "4")
    with running(command, port, tmp_path) as worker:
        await until(worker.is_up)

        async def status() -> str:
            code, body = await asyncio.to_thread(worker.health)
            assert (code == 200) is (body["status"] == "ready")
            return str(body["status"])

        async def is_now(wanted: str) -> bool:
            return await status() == wanted

        await until(lambda: is_now("ready"))
        async with AsyncExitStack() as stack:
            for _ in range(clients - 1):
                await stack.enter_async_context(worker.connect())
            await until(lambda: is_now("full"))
            assert not (tmp_path / "db.sqlite3").exists()  # nobody asked the database
            worker.process.send(signal.SIGTERM)
            await until(lambda: is_now("draining"))
        assert await asyncio.to_thread(worker.process.wait) == 0
