"""A client whose server is not there says so, once in each outage."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack

import pytest
from websockets.asyncio.server import ServerConnection, serve

from demo.embedded import free_port
from shardlayer.client import RoomClient
from tests.waiting import PATIENCE, until

KEEPER = "shardlayer.client.connection_keeper"
LINE = "can't be reached"


async def serve_nobody(socket: ServerConnection) -> None:
    """Keep a connection until the client goes, or the server."""
    await socket.wait_closed()


async def test_first_failure_of_each_outage_is_a_warning(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those after it are details."""
    monkeypatch.setattr("shardlayer.client.connection_keeper.backoff_delay", lambda _: 0.01)
    caplog.set_level(logging.INFO, KEEPER)
    port = free_port()

    def told(level: int) -> int:
        return sum(
            LINE in record.getMessage() and record.levelno == level for record in caplog.records
        )

    client = RoomClient(f"ws://127.0.0.1:{port}/", connect_options={"proxy": None})
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(client)
        for outage in (1, 2):
            before = told(logging.INFO)
            await until(lambda before=before: told(logging.INFO) >= before + 2)  # type: ignore[misc]
            assert told(logging.WARNING) == outage
            async with serve(serve_nobody, "127.0.0.1", port) as server:
                await until(lambda server=server: server.connections)  # type: ignore[misc]
                await asyncio.wait_for(client._keeper.connection(), PATIENCE)
    assert told(logging.WARNING) == 2
