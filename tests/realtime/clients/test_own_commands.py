"""A consumer with commands of its own, and a project's function for what clients publish."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from django.contrib.auth.models import User
from pytest_django import Settings

from realtime import ClientRefused, apublish
from realtime.access.room_checks import check_rooms
from realtime.clients.client_counters import counters
from realtime.consumers import RoomConsumer
from shardlayer import ShardedChannelLayer
from tests.realtime.client import Client

HERE = __name__


class ShopConsumer(RoomConsumer):
    """A consumer with commands."""

    async def command_stock(self, article: Any) -> Any:
        """Answer something of what was sent."""
        if article == "none":
            raise ClientRefused("There is no such article.")
        if article == "set":
            return {1, 2}
        user = await self.user()
        return {"article": article, "user": user.is_authenticated, "rooms": self.rooms}

    async def command_tell(self, text: Any) -> Any:
        """Publish to all but this client."""
        await apublish("general", text, exclude=self.client_id)
        return self.scope["path"]


class ShopClient(Client):
    """A client of that consumer."""

    consumer = ShopConsumer


async def test_command_is_answered(memory_layer: ShardedChannelLayer) -> None:
    """With what it returns, as JSON, under its name."""
    async with ShopClient() as client:
        await client.ask(1, subscribe={"room": "general"})
        assert await client.ask(2, stock={"n": 7}) == {
            "id": 2,
            "stock": {"article": {"n": 7}, "user": False, "rooms": ["general"]},
        }
        await client.send(3, tell="hello")
        got = [await client.receive(), await client.receive()]
        assert {"id": 3, "tell": "/ws/"} in got
        assert {"room": "general", "offset": 1} in got


async def test_errors_stay_the_commands_own(
    memory_layer: ShardedChannelLayer, caplog: pytest.LogCaptureFixture
) -> None:
    """A refusal is told; what has no JSON form is logged; other consumers know no such command."""
    async with ShopClient() as client:
        refused = (await client.ask(1, stock="none"))["error"]
        assert refused == {"code": "refused", "message": "There is no such article."}
        with caplog.at_level(logging.ERROR):
            assert (await client.ask(2, stock="set"))["error"]["code"] == "internal"
        assert "A client's command failed" in caplog.text
        assert await client.ask(3, ping={}) == {"id": 3, "pong": {}}
    async with Client() as client:
        assert (await client.ask(1, stock=1))["error"]["code"] == "unknown_command"


def test_wrong_commands_are_found_when_the_class_is_made() -> None:
    """The protocol's names are its own, and a command is awaited."""
    with pytest.raises(TypeError, match=r"command_publish: 'publish' is the protocol's own"):
        type("Wrong", (RoomConsumer,), {"command_publish": ShopConsumer.command_stock})
    with pytest.raises(TypeError, match="'error' is the protocol's own"):
        type("Wrong", (RoomConsumer,), {"command_error": ShopConsumer.command_stock})
    with pytest.raises(TypeError, match="must be an async function"):
        type("Wrong", (RoomConsumer,), {"command_x": lambda self, value: value})


def clean(user: User, room: str, data: Any, claims: Any) -> Any:
    """A project's function."""
    if data == "bad":
        raise ClientRefused("Not that.")
    if data == "broken":
        raise RuntimeError("a fault of the project")
    if data == "forgotten":
        return None
    return {"said": data, "room": room, "signed_in": user.is_authenticated}


async def clean_async(user: User, room: str, data: Any, claims: Any) -> Any:
    """The same, asynchronous."""
    return clean(user, room, data, claims)


class TestOnPublish:
    """What a function may do to a client's publication."""

    @pytest.mark.parametrize("function", ["clean", "clean_async"])
    async def test_changes_it(
        self, memory_layer: ShardedChannelLayer, settings: Settings, function: str
    ) -> None:
        """What it returns is published; the server's own publications are not looked at."""
        rule = {"publish": "anyone", "on_publish": f"{HERE}.{function}"}
        settings.REALTIME = {"ROOMS": {"*": rule}}
        changed = counters.publications_changed
        async with Client() as client:
            answer = await client.ask(1, publish={"room": "chat", "data": "hello"})
            assert answer["published"]["offset"] == 1
        await apublish("chat", "bad")
        held = [item.data for item in await memory_layer.history("chat")]
        assert held == [b'{"said":"hello","room":"chat","signed_in":false}', b'"bad"']
        assert counters.publications_changed == changed + 1

    async def test_refuses_it(
        self,
        memory_layer: ShardedChannelLayer,
        settings: Settings,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """By raising, or by an error, which is logged; nothing is published then."""
        settings.REALTIME = {
            "ROOMS": {"*": {"publish": "anyone"}},
            "ON_CLIENT_PUBLISH": f"{HERE}.clean",
        }
        refused = counters.publications_refused
        async with Client() as client:
            answer = await client.ask(1, publish={"room": "chat", "data": "bad"})
            assert answer["error"] == {"code": "refused", "message": "Not that."}
            assert caplog.text == ""
            with caplog.at_level(logging.ERROR):
                for id, data, words in ((2, "broken", "a fault"), (3, "forgotten", "return the")):
                    answer = await client.ask(id, publish={"room": "chat", "data": data})
                    assert answer["error"]["code"] == "internal"
                    assert words in caplog.text
        assert await memory_layer.history("chat") == []
        assert counters.publications_refused == refused + 3

    async def test_rule_of_the_room_comes_first(
        self, memory_layer: ShardedChannelLayer, settings: Settings
    ) -> None:
        """Who may not publish is not asked about; a room's own function counts there."""
        settings.REALTIME = {
            "ROOMS": {
                "own": {"publish": "anyone", "on_publish": f"{HERE}.clean"},
                "*": {"publish": "nobody"},
            },
            "ON_CLIENT_PUBLISH": "builtins.print",
        }
        async with Client() as client:
            answer = await client.ask(1, publish={"room": "chat", "data": "bad"})
            assert answer["error"]["code"] == "forbidden"
            answer = await client.ask(2, publish={"room": "own", "data": "bad"})
            assert answer["error"]["code"] == "refused"

    @pytest.mark.parametrize(
        ("path", "id"),
        [
            (f"{HERE}.clean", None),
            (f"{HERE}.ShopConsumer", "realtime.E005"),
            (f"{HERE}.pytest.skip", "realtime.E003"),
            ("no.such.module", "realtime.E003"),
            (f"{HERE}.short", "realtime.E005"),
        ],
    )
    def test_check(self, settings: Settings, path: str, id: str | None) -> None:
        """What the path names must take a publication."""
        settings.REALTIME = {"ROOMS": {"*": {"on_publish": path}}}
        found = check_rooms(None)
        assert [message.id for message in found] == ([id] if id else [])
        assert all("['on_publish']" in message.msg for message in found)


def short(user: User, room: str) -> None:
    """Takes too little."""
