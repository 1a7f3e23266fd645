"""`manage.py realtime rooms`."""

from __future__ import annotations

import asyncio
import json
import re
from io import StringIO

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connections
from pytest_django import Settings

from demo.embedded import EmbeddedValkey, free_port
from realtime import publish
from realtime.sharded_layer import sharded_layer
from shardlayer import ShardedChannelLayer
from tests.realtime.client import Client
from tests.realtime.conftest import PATIENT, channel_layers
from tests.realtime.management.output import lines_of
from tests.realtime.operations.deployment import SETTINGS
from tests.realtime.process import run_manage
from tests.realtime.users import cookie_of
from tests.waiting import until


@pytest.fixture
def layer(settings: Settings, redis_server: EmbeddedValkey) -> None:
    """A layer on a real server without rooms."""
    settings.CHANNEL_LAYERS = channel_layers(hosts=[redis_server.url])
    settings.REALTIME = PATIENT


@pytest.mark.usefixtures("layer")
class TestRooms:
    """On a server that answers."""

    def test_lists_them_by_name(self) -> None:
        """Each room is a row with its shard, its nodes and members, and what it remembers."""
        publish("news", 1)
        publish("news", 2)
        publish("chat.lobby", 1)
        head, *rows = lines_of("realtime", "rooms")
        assert head.split()[:6] == ["Room", "Shard", "Nodes", "Members", "People", "Last"]
        shards = {name: str(sharded_layer().shard_of(name)) for name in ("chat.lobby", "news")}
        assert [row.split()[:7] for row in rows] == [
            ["chat.lobby", shards["chat.lobby"], "0", "0", "-", "1", "1"],
            ["news", shards["news"], "0", "0", "-", "2", "2"],
        ]

    def test_json(self) -> None:
        """With --json each room is a line that a program can read."""
        position = publish("news", 1)
        assert position is not None
        [line] = lines_of("realtime", "rooms", "--json")
        found = json.loads(line)
        assert found.pop("idle") is None or found["offset"]
        assert found == {
            "people": None,
            "rate": None,
            "room": "news",
            "shard": sharded_layer().shard_of("news"),
            "members": 0,
            "nodes": {},
            "offset": 1,
            "epoch": position.epoch,
            "history_length": 1,
        }

    def test_prefix_shard_and_order(self) -> None:
        """Those whose names begin so, of one shard, the fullest or the busiest first."""
        for name, publications in (("chat.a", 1), ("chat.b", 3), ("news", 9)):
            for number in range(publications):
                publish(name, number)

        def names(*arguments: str) -> list[str]:
            return [row.split()[0] for row in lines_of("realtime", "rooms", *arguments)[1:]]

        assert names("--prefix", "chat.") == ["chat.a", "chat.b"]
        shard = sharded_layer().shard_of("news")
        assert "news" in names("--shard", str(shard))
        assert names("--shard", str(shard), "--prefix", "chat.") == []
        assert names("--sort", "members", "--limit", "2") == ["chat.a", "chat.b"]
        with pytest.raises(CommandError, match="--sort"):
            call_command("realtime", "rooms", "--sort", "size")

    def test_rates_need_two_looks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The busiest are found by looking again after a while; without that a rate is unknown."""
        for module in ("realtime.operations.room_list", "realtime.rooms.room_index"):
            monkeypatch.setattr(f"{module}.FRESH", 0.05)
        # As where a look takes long: who asks for rates does not wait for so much longer.
        monkeypatch.setattr("realtime.rooms.room_index.SHARE", 1e-6)
        publish("news", 1)
        [line] = lines_of("realtime", "rooms", "--json")
        assert json.loads(line)["rate"] is None
        [line] = lines_of("realtime", "rooms", "--json", "--sort", "rate")
        assert json.loads(line)["rate"] == 0

    def test_limit(self) -> None:
        """No more rooms than asked for are listed, and it says that there are more."""
        for number in range(5):
            publish(f"room.{number}", 1)
        errors = StringIO()
        assert len(lines_of("realtime", "rooms", "--limit", "3", stderr=errors)) == 1 + 3
        assert "first 3" in errors.getvalue()
        assert len(lines_of("realtime", "rooms", "--limit", "5")) == 1 + 5

    def test_no_rooms(self) -> None:
        """Without rooms it says so; as JSON that is no line."""
        assert lines_of("realtime", "rooms")[0].startswith("No rooms")
        assert lines_of("realtime", "rooms", "--json") == []

    @pytest.mark.parametrize("limit", ["0", "-1", "x"])
    def test_odd_limits(self, limit: str) -> None:
        """A limit that is no count is refused."""
        with pytest.raises(CommandError, match="--limit"):
            call_command("realtime", "rooms", "--limit", limit)


def test_dead_server(settings: Settings, redis_server: EmbeddedValkey) -> None:
    """The rooms of the others are listed, then the command fails and names the dead one."""
    dead = f"redis://127.0.0.1:{free_port()}"
    settings.CHANNEL_LAYERS = channel_layers(hosts=[redis_server.url, dead], publish_timeout=5.0)
    settings.REALTIME = PATIENT
    layer = sharded_layer()
    alive = next(name for name in map(str, range(99)) if layer.shard_of(name) % 2 == 0)
    publish(alive, 1)
    out = StringIO()
    with pytest.raises(CommandError, match=dead):
        call_command("realtime", "rooms", stdout=out)
    assert out.getvalue().splitlines()[1].split()[0] == alive


def lines_in_a_thread(*arguments: str) -> list[str]:
    """Do as `lines_of`; close the thread's connections to the database.

    Django's `close_all` leaves those of a database in memory open.
    """
    try:
        return lines_of(*arguments)
    finally:
        for connection in connections.all(initialized_only=True):
            if connection.connection is not None:
                connection.connection.close()
                connection.connection = None


@pytest.mark.django_db(transaction=True)  # the command's thread looks at the database
async def test_people_are_shown(settings: Settings, redis_layer: ShardedChannelLayer) -> None:
    """How many are in each room, and who is in one: as the admin shows them."""
    rules = {"subscribe": "anyone", "presence": "anyone"}
    settings.REALTIME = PATIENT | {"ROOMS": {"general": rules, "*": {"subscribe": "anyone"}}}
    alice = await sync_to_async(User.objects.create_user)("alice\x1b[31m")
    key = str(alice.pk)
    headers = {"cookie": await sync_to_async(cookie_of)(alice)}
    async with (
        Client(headers=headers) as one,
        Client(headers=headers) as two,
        Client() as stranger,
    ):
        for client in (one, two, stranger):
            await client.ask(1, subscribe={"room": "general"})
        await stranger.ask(2, subscribe={"room": "other"})

        async def people() -> list[int | None]:
            lines = await asyncio.to_thread(lines_in_a_thread, "realtime", "rooms", "--json")
            return [json.loads(line)["people"] for line in lines]

        async def told() -> bool:
            return await people() == [2, None]

        await until(told)  # what a worker tells of is on its way
        head, general, other = await asyncio.to_thread(lines_in_a_thread, "realtime", "rooms")
        place = head.split().index("People")
        assert (general.split()[place], other.split()[place]) == ("2", "-")
        text = "\n".join(await asyncio.to_thread(lines_in_a_thread, "realtime", "room", "general"))
        assert "People       2" in text
        assert re.search(rf"^alice\\u001b\[31m +{key} +2$", text, re.MULTILINE), text
        assert re.search(r"^nobody signed in +- +1$", text, re.MULTILINE), text
        [line] = await asyncio.to_thread(lines_in_a_thread, "realtime", "room", "general", "--json")
        found = json.loads(line)
        assert found["people"] == 2
        assert sorted(found["persons"], key=lambda each: each["connections"]) == [
            {"user": None, "name": "", "connections": 1},
            {"user": key, "name": "alice\x1b[31m", "connections": 2},
        ]
        [line] = await asyncio.to_thread(lines_in_a_thread, "realtime", "room", "other", "--json")
        assert (json.loads(line)["people"], json.loads(line)["persons"]) == (None, [])


@pytest.mark.django_db(transaction=True)
async def test_people_are_shown_without_a_database(
    settings: Settings, redis_layer: ShardedChannelLayer, redis_server: EmbeddedValkey
) -> None:
    """By their primary keys: only their names stand there."""
    rules = {"subscribe": "anyone", "presence": "anyone"}
    settings.REALTIME = PATIENT | {"ROOMS": {"*": rules}}
    alice = await sync_to_async(User.objects.create_user)("alice")
    environ = {
        "DJANGO_SETTINGS_MODULE": SETTINGS,
        "REDIS_URL": redis_server.url,
        "DATABASE_URL": f"postgres://nobody:nothing@127.0.0.1:{free_port()}/away",
    }
    async with Client(headers={"cookie": await sync_to_async(cookie_of)(alice)}) as client:
        await client.ask(1, subscribe={"room": "general"})

        async def is_told() -> bool:
            return (await redis_layer.presence("general")).people == 1

        await until(is_told)
        done = await asyncio.to_thread(run_manage, "realtime", "room", "general", environ=environ)
    assert done.returncode == 0, done.stderr
    assert re.search(rf"^unknown user +{alice.pk} +1$", done.stdout, re.MULTILINE), done.stdout
    assert "The names of users are unknown" in done.stderr
    assert "Traceback" not in done.stderr
