"""Rooms that are refused for now: the Python client asks for them less and less often."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from shardlayer.client import RoomClient, followed_rooms
from shardlayer.client.client_backoff import BACKOFF_BASE, BACKOFF_CAP
from tests.waiting import PATIENCE, until

LET_IN: dict[str, Any] = {"offset": 1, "epoch": "e", "recovered": True}
PUT_OUT: dict[str, Any] = {"room": "a", "unsubscribed": {"code": "full"}}


def refusal(code: str) -> dict[str, Any]:
    """Return what the server answers for a room that it refuses."""
    return {"error": {"code": code, "message": "Not now."}}


FULL = refusal("full")


class RefusingServer:
    """Answers for all rooms what it is told to.

    Attributes:
        url: Of its WebSocket.
        answers: What each room is answered next; the last one also from then on.
        asked: How often a room was asked for.
    """

    def __init__(self, *answers: dict[str, Any]) -> None:
        self.url = ""
        self.answers = list(answers)
        self.asked = 0
        self._sockets: list[ServerConnection] = []

    async def serve_client(self, socket: ServerConnection) -> None:
        """Serve one connection."""
        self._sockets.append(socket)
        with suppress(ConnectionClosed):
            async for frame in socket:
                said = json.loads(frame)
                if "subscribe" in said:
                    replies = [self._answer(each["room"]) for each in said["subscribe"]]
                    await socket.send(json.dumps({"id": said["id"], "subscribed": replies}))
                elif "unsubscribe" in said:
                    reply = {"id": said["id"], "unsubscribed": said["unsubscribe"]}
                    await socket.send(json.dumps(reply))

    def _answer(self, room: str) -> dict[str, Any]:
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return {"room": room, **answer}

    async def push(self, push: dict[str, Any]) -> None:
        """Push something to the newest connection."""
        await self._sockets[-1].send(json.dumps(push))

    async def close(self) -> None:
        """Close the newest connection; the client comes back at once."""
        await self.push({"reconnect": {"after_ms": 0}})
        await self._sockets[-1].close(1012)

    def client(self, **options: Any) -> RoomClient:
        """Return a client of it."""
        return RoomClient(self.url, timeout=PATIENCE, connect_options={"proxy": None}, **options)


@asynccontextmanager
async def running_server(*answers: dict[str, Any]) -> AsyncIterator[RefusingServer]:
    """A server, as long as the context lasts."""
    made = RefusingServer(*answers)
    async with serve(made.serve_client, "127.0.0.1", 0) as server:
        made.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        yield made


class Waits:
    """Stands in for the chance in the waits of refused rooms, and for their length.

    Attributes:
        ceilings: The longest that each could have been, in seconds.
        endless: Those that last, by their number from 1; all others take no time.
    """

    def __init__(self) -> None:
        self.ceilings: list[float] = []
        self.endless: set[int] = set()

    def next(self, attempt: int) -> float:
        """Return the seconds of the next wait."""
        self.ceilings.append(min(BACKOFF_CAP, BACKOFF_BASE * 2**attempt))
        return 3600.0 if len(self.ceilings) in self.endless else 0.0


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> Waits:
    """The waits of the test's client."""
    made = Waits()
    monkeypatch.setattr(followed_rooms, "backoff_delay", made.next)
    return made


@pytest.mark.parametrize("code", sorted(followed_rooms.PASSING))
async def test_waits_grow_with_each_refusal_in_a_row(waits: Waits, code: str) -> None:
    """Up to 20 s, however long the room is full."""
    async with running_server(*[refusal(code)] * 5, LET_IN) as server, server.client() as client:
        await client.subscribe("a").joined()
    assert waits.ceilings == [4, 8, 16, 20, 20]


async def test_waits_begin_anew_once_the_room_was_joined(waits: Waits) -> None:
    """The server ends the membership, and refuses again."""
    async with (
        running_server(FULL, FULL, LET_IN, FULL, LET_IN) as server,
        server.client() as client,
    ):
        await client.subscribe("a").joined()
        await server.push(PUT_OUT)
        await until(lambda: server.asked == 5)
    assert waits.ceilings == [4, 8, 4, 8]


async def test_a_new_connection_asks_at_once_and_waits_go_on_to_grow(waits: Waits) -> None:
    """A client that loses its connections asks a full room no more often for that."""
    waits.endless = {3}
    async with running_server(FULL, FULL, FULL, FULL, LET_IN) as server, server.client() as client:
        room = client.subscribe("a")
        await until(lambda: len(waits.ceilings) == 3)
        await server.close()
        await room.joined()
    assert waits.ceilings == [4, 8, 16, 20]
    assert server.asked == 5


async def test_a_room_that_was_left_is_forgotten(waits: Waits) -> None:
    """Who follows it again asks at once, and waits as at first."""
    waits.endless = {2}
    async with running_server(FULL, FULL, FULL, LET_IN) as server, server.client() as client:
        first = client.subscribe("a")
        await until(lambda: len(waits.ceilings) == 2)
        await first.leave()
        await client.subscribe("a").joined()
    assert waits.ceilings == [4, 8, 4]


async def test_a_room_that_waits_begins_no_second_wait(waits: Waits) -> None:
    """Else it would be asked for twice as often from then on."""
    waits.endless = {1, 2}
    heard: list[Any] = []
    async with (
        running_server(LET_IN) as server,
        server.client(on_announcement=heard.append) as client,
    ):
        await client.subscribe("a").joined()
        for push in (PUT_OUT, PUT_OUT, {"announcement": "behind them"}):
            await server.push(push)
        await until(lambda: heard)
    assert waits.ceilings == [4]
