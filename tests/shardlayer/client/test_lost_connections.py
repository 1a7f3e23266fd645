"""Commands around the moment in which a connection is lost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

from shardlayer.client import RoomClient, RoomClientError
from shardlayer.core.types import Position
from tests.waiting import PATIENCE

Command = Callable[[RoomClient], Awaitable[Any]]

ANSWERS: dict[str, dict[str, Any]] = {
    "connect": {"connected": {"user": "7", "room": None}},
    "history": {"history": {"publications": []}},
    "presence": {"presence": {"people": 0}},
    "publish": {"published": {"offset": 1, "epoch": "e"}},
}


class AnsweringServer:
    """Answers commands, or ends the connection over each.

    Attributes:
        url: Of its WebSocket.
        connections: How many there were.
        commands: Their names, as they came.
        answers: Whether it answers.
    """

    def __init__(self) -> None:
        self.url = ""
        self.connections = 0
        self.commands: list[str] = []
        self.answers = True

    async def serve_client(self, socket: ServerConnection) -> None:
        """Serve one connection."""
        self.connections += 1
        with suppress(ConnectionClosed):
            async for frame in socket:
                await self._take(json.loads(frame), socket)

    async def _take(self, said: dict[str, Any], socket: ServerConnection) -> None:
        [name] = said.keys() - {"id"}
        self.commands.append(name)
        if self.answers:
            await socket.send(json.dumps({"id": said["id"], **ANSWERS[name]}))
        else:
            await socket.send('{"reconnect": {"after_ms": 0}}')  # else the client backs off
            await socket.close(1012)

    def client(self, timeout: float = PATIENCE) -> RoomClient:
        """Return a client of it."""
        return RoomClient(self.url, timeout=timeout, connect_options={"proxy": None})


@asynccontextmanager
async def running_server() -> AsyncIterator[AnsweringServer]:
    """A server, as long as the context lasts."""
    made = AnsweringServer()
    async with serve(made.serve_client, "127.0.0.1", 0) as server:
        made.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        yield made


async def begin_in_the_turn_of_the_loss(client: RoomClient, command: Command) -> Any:
    """Begin a command when the connection is lost, and whoever reads it does not know it yet."""
    connection = await client._keeper.connection()
    connection.socket.transport.abort()  # asyncio tells the connection in the next turn

    async def begin() -> Any:  # in that turn, behind it
        assert connection.socket.state is State.CLOSED
        return await command(client)

    async with asyncio.timeout(PATIENCE):
        return await asyncio.create_task(begin())


def never_spinning(client: RoomClient, *, tries: int = 100) -> None:
    """Have a command that spins fail instead of holding up the loop for good."""
    given = client._keeper.connection
    loop = asyncio.get_running_loop()
    left = tries

    def refill() -> None:
        nonlocal left
        left = tries
        loop.call_soon(refill)

    async def counted(within: float | None = None) -> Any:
        nonlocal left
        left -= 1
        assert left > 0, "It tries again and again in one turn of the loop."
        return await given(within)

    client._keeper.connection = counted  # type: ignore[method-assign]
    loop.call_soon(refill)


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        pytest.param(RoomClient.identity, {"user": "7", "room": None}, id="identity"),
        pytest.param(lambda client: client.history("a"), ([], None), id="history"),
        pytest.param(lambda client: client.presence("a"), {"people": 0}, id="presence"),
        pytest.param(lambda client: client.publish("a", 1), Position(1, "e"), id="publish"),
    ],
)
async def test_a_lost_connection_is_not_handed_out_again(command: Command, answer: Any) -> None:
    """The command waits for the next one, is sent once, and others have their turns meanwhile."""
    async with running_server() as server, server.client() as client:
        never_spinning(client)
        assert await begin_in_the_turn_of_the_loss(client, command) == answer
        assert server.connections == 2
        assert len(server.commands) == 1


async def test_connected_waits_for_the_next_connection() -> None:
    """A connection that is lost is none."""
    async with running_server() as server, server.client() as client:
        await begin_in_the_turn_of_the_loss(client, RoomClient.connected)
        assert server.connections == 2


async def test_closing_ends_what_waits_for_the_next_connection() -> None:
    """It is told that there will be none."""
    async with running_server() as server, server.client() as client:
        never_spinning(client)

        async def ask_and_close(client: RoomClient) -> None:
            closing = asyncio.create_task(client.close())
            try:
                await client.identity()
            finally:
                await closing

        with pytest.raises(RoomClientError, match="The client was closed"):
            await begin_in_the_turn_of_the_loss(client, ask_and_close)
        assert server.connections == 1


async def test_a_server_that_ends_each_connection_over_a_command() -> None:
    """The command is sent again, until the client's timeout is over."""
    async with running_server() as server, server.client(timeout=3.0) as client:
        await client.connected()
        server.answers = False
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(RoomClientError) as caught:
                await client.identity()
        if caught.value.code == "offline":  # on a machine that stood still
            return
        assert caught.value.code == "lost"
        assert len(server.commands) > 1


async def test_a_connection_that_only_ever_says_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a connection does, others have their turns between two attempts, and it ends."""
    loop = asyncio.get_running_loop()
    turns = attempts = 0

    def turn() -> None:
        nonlocal turns
        turns += 1
        loop.call_soon(turn)

    class Lost:
        async def ask(self, command: dict[str, Any]) -> dict[str, Any]:
            nonlocal attempts
            attempts += 1
            assert attempts - 1 <= turns, "It tries again in the same turn of the loop."
            raise RoomClientError("lost", "again")

    async def connection(within: float | None = None) -> Any:
        return Lost()

    client = RoomClient("ws://127.0.0.1:9/", timeout=0.3)
    monkeypatch.setattr(client._keeper, "connection", connection)
    loop.call_soon(turn)
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(RoomClientError, match="lost: again"):
            await client.identity()
    assert attempts > 0
