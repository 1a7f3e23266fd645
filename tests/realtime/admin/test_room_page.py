"""What the page of one room shows of people."""

from __future__ import annotations

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from pytest_django import Settings

from realtime.admin import room_page
from realtime.admin.room_page import look_at_room
from realtime.operations import RoomPerson
from shardlayer import Mark, ShardedChannelLayer
from tests.realtime.client import Client
from tests.realtime.users import cookie_of

pytestmark = pytest.mark.django_db(transaction=True)  # other threads look at the database


async def test_people_have_their_names(
    settings: Settings, memory_layer: ShardedChannelLayer
) -> None:
    """Users are named as the project names them; who is not signed in is counted, too."""
    rules = {"subscribe": "anyone", "presence": "anyone"}
    settings.REALTIME = {"CHECK_TIMEOUT": 10, "ROOMS": {"*": rules}}
    alice = await sync_to_async(User.objects.create_user)("<alice>")
    headers = {"cookie": await sync_to_async(cookie_of)(alice)}
    async with Client(headers=headers) as signed_in, Client() as stranger:
        for client in (signed_in, stranger):
            await client.ask(1, subscribe={"room": "general"})
        found = await look_at_room("general", {}, {})
    assert sorted(found["people"], key=lambda each: each.name) == [
        RoomPerson(user=None, name="", connections=1),
        RoomPerson(user=str(alice.pk), name="<alice>", connections=1),
    ]


async def test_users_who_are_gone_have_no_name(
    settings: Settings, memory_layer: ShardedChannelLayer
) -> None:
    """Who was deleted while connected is shown by the primary key."""
    settings.REALTIME = {
        "CHECK_TIMEOUT": 10,
        "ROOMS": {"*": {"subscribe": "anyone", "presence": "anyone"}},
    }
    user = await sync_to_async(User.objects.create_user)("short-lived")
    key = str(user.pk)
    async with Client(headers={"cookie": await sync_to_async(cookie_of)(user)}) as client:
        await client.ask(1, subscribe={"room": "general"})
        await User.objects.all().adelete()
        found = await look_at_room("general", {}, {})
    assert found["people"] == [RoomPerson(user=key, name="", connections=1)]


async def test_history_says_when_and_whence(
    settings: Settings, memory_layer: ShardedChannelLayer
) -> None:
    """A publication has its time and age, and its record if it came from Kafka."""
    settings.REALTIME = {"CHECK_TIMEOUT": 10, "ROOMS": {"*": {"subscribe": "anyone"}}}
    await memory_layer.publish_marked([("general", b"1", Mark("events/0@7a", 17))])
    await memory_layer.publish("general", b"2")
    newest, oldest = (await look_at_room("general", {}, {}))["history"]
    assert (oldest.source, oldest.source_offset) == ("events/0", 17)
    assert (newest.source, newest.source_offset) == ("", None)
    assert newest.time
    assert newest.age < 60


async def test_connections_are_shown(
    settings: Settings, memory_layer: ShardedChannelLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each with its user's name, and asked for again only after a pause."""
    monkeypatch.setattr(room_page, "MEMBERS_PAUSE", 60.0)
    settings.REALTIME = {"CHECK_TIMEOUT": 10, "ROOMS": {"*": {"subscribe": "anyone"}}}
    memory: dict[str, object] = {}
    async with Client(more={"client": ("192.0.2.7", 5000)}) as stranger:
        await stranger.ask(1, subscribe={"room": "general"})
        [shown] = (await look_at_room("general", {}, memory))["connections"]
        assert (shown.user, shown.name, shown.address) == (None, "", "192.0.2.7")
        assert shown.node == str((await memory_layer.node()).id)
        async with Client() as late:
            await late.ask(1, subscribe={"room": "general"})
            assert len((await look_at_room("general", {}, memory))["connections"]) == 1
            assert len((await look_at_room("general", {}, {}))["connections"]) == 2
