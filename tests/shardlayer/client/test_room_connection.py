"""A client's commands, where its own process stood still while it waited."""

from __future__ import annotations

import asyncio
import json
from typing import Any, cast

import pytest
from websockets.asyncio.client import ClientConnection

from shardlayer.client.client_error import RoomClientError
from shardlayer.client.room_connection import RoomConnection
from tests.shardlayer.fakes import some_turns, stand_still

LIMIT = 30.0  # seconds
STILL = 40.0  # seconds


class StandingSocket:
    """Sends, and then the process stands still for a while."""

    def __init__(self, times: int) -> None:
        self.sent: list[dict[str, Any]] = []
        self._times = times

    async def send(self, frame: str) -> None:
        self.sent.append(json.loads(frame))
        for _ in range(self._times):
            stand_still(STILL)
            await some_turns()


async def test_reply_that_came_while_the_process_stood_still() -> None:
    """It takes some turns from the socket to who asked, and is not too late."""
    socket = StandingSocket(times=1)
    connection = RoomConnection(cast(ClientConnection, socket), LIMIT)
    asking = asyncio.create_task(connection.ask({"publish": {}}))
    await some_turns()
    await some_turns()
    [sent] = socket.sent
    connection.take(json.dumps({"id": sent["id"], "published": {}}))
    assert await asking == {"id": sent["id"], "published": {}}


async def test_reply_that_does_not_come() -> None:
    """The time is given once more, and not for good."""
    connection = RoomConnection(cast(ClientConnection, StandingSocket(times=2)), LIMIT)
    with pytest.raises(RoomClientError) as caught:
        await connection.ask({"publish": {}})
    assert caught.value.code == "timeout"
