"""Frames that are no message: the Python client logs each, and goes on."""

from __future__ import annotations

from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from shardlayer.client import RoomClient
from tests.waiting import until

DEEP = "[" * 100_000  # deeper than Python's parser goes
NO_MESSAGES: list[str | bytes] = [
    "no JSON",
    "",
    "null",
    "5",
    "true",
    '"text"',
    "[]",
    '[{"room":"a"}]',
    DEEP,
    b"\xff",
]


async def test_a_frame_that_is_no_message_is_logged_and_the_next_is_taken(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The connection stays."""
    connections: list[ServerConnection] = []
    announced: list[Any] = []

    async def serve_client(connection: ServerConnection) -> None:
        connections.append(connection)
        for frame in [*NO_MESSAGES, '{"announcement": "next"}']:
            await connection.send(frame)
        await connection.wait_closed()

    async with serve(serve_client, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with RoomClient(
            f"ws://127.0.0.1:{port}/ws/",
            on_announcement=announced.append,
            connect_options={"proxy": None},
        ):
            await until(lambda: announced)
    assert announced == ["next"]
    assert len(connections) == 1
    logged = [record for record in caplog.records if "is not a JSON object" in record.getMessage()]
    assert len(logged) == len(NO_MESSAGES)
