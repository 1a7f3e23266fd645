"""What a client sent before it was signed out, and nobody had done yet: it is not done any more."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from pytest_django import Settings

from realtime.access.revocations import CLOCK_SKEW
from realtime.clients.client_counters import counters
from realtime.connections import adisconnect
from realtime.consumers import RoomConsumer
from realtime.nodes.node_orders import NodeOrders
from realtime.operations.room_members import adisconnect_client
from realtime.rooms.room_names import NODES_ROOM
from realtime.tokens import issue_token
from shardlayer import ShardedChannelLayer
from tests.realtime.client import Client, RecordingSink
from tests.realtime.users import end_queries
from tests.waiting import PATIENCE, until

HERE = __name__
OPEN = {"subscribe": "anyone", "publish": "anyone"}


class Pause:
    """Where the project's code waits until the test goes on."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.goes_on = asyncio.Event()
        self.seen: list[Any] = []

    async def wait(self, seen: Any) -> None:
        """Note what is seen, and wait."""
        self.seen.append(seen)
        self.reached.set()
        await asyncio.wait_for(self.goes_on.wait(), PATIENCE)


pause: Pause


@pytest.fixture(autouse=True)
def fresh_pause() -> None:
    """One for each test."""
    global pause
    pause = Pause()


async def rule(user: Any, room: str, claims: object) -> bool:
    """Let everybody in, at last."""
    await pause.wait(room)
    return True


async def changed(user: Any, room: str, data: Any, claims: object) -> Any:
    """Publish it as it is, at last."""
    await pause.wait(user.is_authenticated)
    return data


class OwnConsumer(RoomConsumer):
    """A consumer with a command."""

    async def command_own(self, value: Any) -> Any:
        """Ask who it is."""
        pause.seen.append(value)
        pause.seen.append((await self.user()).is_authenticated)


class OwnClient(Client):
    """A client of that consumer."""

    consumer = OwnConsumer
    id = ""  # of its connection


class UnreadSink(RecordingSink):
    """A sink of a client that reads when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = asyncio.Event()
        self.reads.set()
        self.is_behind = asyncio.Event()

    async def wait_drained(self) -> None:
        if not self.reads.is_set():
            self.is_behind.set()
        await self.reads.wait()


class TestQueued:
    """Commands that wait behind one whose answer the client does not read."""

    @pytest.fixture
    async def waiting(
        self, memory_layer: ShardedChannelLayer, settings: Settings
    ) -> tuple[OwnClient, UnreadSink]:
        """A client of user 7 that has sent much and reads nothing."""
        settings.REALTIME = {"ROOMS": {"*": OPEN}}
        sink = UnreadSink()
        client = OwnClient(sink=sink, more={"user": User(pk=7)})
        await client.__aenter__()
        client.id = (await client.ask(1, connect={}))["connected"]["client"]
        sink.reads.clear()
        await client.send(2, ping={})
        await asyncio.wait_for(sink.is_behind.wait(), PATIENCE)
        for id in range(3, 30):
            await client.send(id, publish={"room": "chat", "data": id})
        await client.send(30, subscribe={"room": "chat"})
        await client.send(31, own="x")
        return client, sink

    async def test_signed_out(
        self, memory_layer: ShardedChannelLayer, waiting: tuple[OwnClient, UnreadSink]
    ) -> None:
        """Nothing of it is done."""
        await adisconnect(User(pk=7))
        await self._nothing_is_done(memory_layer, *waiting)

    async def test_disconnected_by_an_operator(
        self, memory_layer: ShardedChannelLayer, waiting: tuple[OwnClient, UnreadSink]
    ) -> None:
        """Nor is it if only this connection is ended."""
        node = await memory_layer.node()
        orders = NodeOrders(memory_layer, node, None, on_drain=lambda: None)
        await until(lambda: node.members(NODES_ROOM) == 1)
        await adisconnect_client(waiting[0].id, by="ada")
        await self._nothing_is_done(memory_layer, *waiting)
        await orders.aclose()

    async def _nothing_is_done(
        self, memory_layer: ShardedChannelLayer, client: OwnClient, sink: UnreadSink
    ) -> None:
        await asyncio.wait_for(sink.is_closed.wait(), PATIENCE)
        sink.reads.set()
        await client.leave()
        assert sink.closed is not None
        assert sink.closed[0] == 4002
        assert await memory_layer.history("chat") == []
        assert pause.seen == []
        assert (await client.receive())["id"] == 2
        assert client.nothing_waits()

    async def test_gone_by_itself(
        self, memory_layer: ShardedChannelLayer, waiting: tuple[OwnClient, UnreadSink]
    ) -> None:
        """What a client sent before it left is done: it is still its user's."""
        client, sink = waiting
        sink.reads.set()
        await client.leave()
        assert len(await memory_layer.history("chat")) == 27
        assert pause.seen == ["x", True]


class TestUnderWay:
    """A command that is being done."""

    async def test_publication_whose_rule_is_asked(
        self, memory_layer: ShardedChannelLayer, settings: Settings
    ) -> None:
        """It is not published, whatever the rule says."""
        settings.REALTIME = {"ROOMS": {"*": {"publish": f"{HERE}.rule"}}}
        await self._is_not_published(memory_layer)

    async def test_publication_that_is_looked_at(
        self, memory_layer: ShardedChannelLayer, settings: Settings
    ) -> None:
        """Nor what the project's function made of it."""
        settings.REALTIME = {"ROOMS": {"*": {"publish": "anyone", "on_publish": f"{HERE}.changed"}}}
        await self._is_not_published(memory_layer)

    async def _is_not_published(self, layer: ShardedChannelLayer) -> None:
        sink = RecordingSink()
        client = Client(sink=sink, more={"user": User(pk=7)})
        await client.__aenter__()
        await client.ask(1, connect={})
        await client.send(2, publish={"room": "chat", "data": 1})
        await asyncio.wait_for(pause.reached.wait(), PATIENCE)
        await adisconnect(User(pk=7))
        await asyncio.wait_for(sink.is_closed.wait(), PATIENCE)
        pause.goes_on.set()
        await client.leave()
        assert await layer.history("chat") == []

    async def test_room_whose_rule_is_asked(
        self, memory_layer: ShardedChannelLayer, settings: Settings
    ) -> None:
        """It is not joined, so nobody sees the client come."""
        settings.REALTIME = {"ROOMS": {"*": {"subscribe": f"{HERE}.rule"}}}
        sink = RecordingSink()
        client = Client(sink=sink, more={"user": User(pk=7)})
        await client.__aenter__()
        await client.ask(1, connect={})
        await client.send(2, subscribe=[{"room": "a"}, {"room": "b"}])
        await asyncio.wait_for(pause.reached.wait(), PATIENCE)
        await adisconnect(User(pk=7))
        await asyncio.wait_for(sink.is_closed.wait(), PATIENCE)
        pause.goes_on.set()
        await client.leave()
        items = (await client.receive())["subscribed"]
        assert [item["error"]["code"] for item in items] == ["forbidden"] * 2


class TestGone:
    """A user of a token who turns out to be gone, or to be shut out, when the fields are read."""

    @pytest.fixture
    def eve(
        self, transactional_db: None, settings: Settings, memory_layer: ShardedChannelLayer
    ) -> Iterator[User]:
        """A user whom no signal tells of."""
        settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
        settings.REALTIME = {"ROOMS": {"*": {"publish": "anyone", "on_publish": f"{HERE}.changed"}}}
        yield User.objects.create_user("eve", password="x")
        end_queries()

    async def _signed_in(self, eve: User) -> OwnClient:
        async with Client() as first:  # with whom the worker begins to know who was signed out
            await first.ask(1, connect={"token": issue_token(eve)})
            await asyncio.sleep(CLOCK_SKEW)
        token = issue_token(eve)
        client = OwnClient()
        await client.__aenter__()
        assert (await client.ask(1, connect={"token": token}))["connected"]["user"] == "eve"
        await User.objects.filter(pk=eve.pk).aupdate(is_active=False)
        return client

    async def test_publication(self, memory_layer: ShardedChannelLayer, eve: User) -> None:
        """It is not published, and the project's function is not asked about a nobody's."""
        pause.goes_on.set()
        refused = counters.publications_refused
        client = await self._signed_in(eve)
        await client.send(2, publish={"room": "chat", "data": 1})
        event = await client.event()
        assert (event["type"], event.get("code")) == ("websocket.close", 4002)
        await client.leave()
        assert pause.seen == []
        assert await memory_layer.history("chat") == []
        assert counters.publications_refused == refused

    async def test_own_command(self, eve: User) -> None:
        """It ends where it asks for the user: it is not done for nobody."""
        client = await self._signed_in(eve)
        await client.send(2, own="x")
        event = await client.event()
        assert (event["type"], event.get("code")) == ("websocket.close", 4002)
        await client.leave()
        assert pause.seen == ["x"]
