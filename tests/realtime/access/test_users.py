"""The own room of each user: whose it is, who gets in, and what arrives there."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from asgiref.sync import sync_to_async
from channels.db import database_sync_to_async
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser, User
from django.db import models
from django.test.utils import isolate_apps
from pytest_django import Settings

from realtime import apublish, apublish_to_user, publish_to_user
from realtime.access.users import user_room
from realtime.rooms.room_names import is_room_name
from realtime.tokens import issue_token
from shardlayer import ShardedChannelLayer
from tests.realtime.client import Client
from tests.realtime.users import cookie_of, end_queries


async def allow_all(user: object, room: str, claims: object) -> bool:
    """Allow everything, as a project does that has not thought of own rooms."""
    return True


async def must_not_be_asked(user: object, room: str, claims: object) -> bool:
    """Fail the test."""
    raise AssertionError(f"asked of {room}")


@pytest.fixture
def people(transactional_db: None, settings: Settings) -> Iterator[tuple[User, User]]:
    """Ada, and Grace who is a superuser; passwords take no time to hash."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    ada = User.objects.create_user("ada", password="x")
    grace = User.objects.create_superuser("grace", password="x")
    yield ada, grace
    end_queries()


def with_key(field: models.Field[Any, Any], key: object) -> AbstractBaseUser:
    """Return a user of a model whose primary key is of that kind."""
    with isolate_apps("realtime"):

        class Person(AbstractBaseUser):
            id = field

            class Meta:
                app_label = "realtime"

    return Person(pk=key)


class TestName:
    """`user_room`."""

    @pytest.mark.parametrize(
        ("field", "key", "name"),
        [
            (models.BigAutoField(primary_key=True), 7, "user.7"),
            (
                models.UUIDField(primary_key=True),
                UUID("6f0d1b4e-8f0c-4d57-9f7c-0b8a3cf9f0a1"),
                "user.6f0d1b4e-8f0c-4d57-9f7c-0b8a3cf9f0a1",
            ),
            (models.CharField(primary_key=True), "Ada_L-1", "user.Ada_L-1"),
        ],
    )
    def test_shows_the_key(self, field: models.Field[Any, Any], key: object, name: str) -> None:
        """A key of a room's characters stands in the name."""
        assert user_room(with_key(field, key)) == name

    @pytest.mark.parametrize("key", ["ada@example.org", "a.b", "", "ä", "x" * 200])
    def test_hides_other_keys(self, key: str) -> None:
        """Any other key is hashed into a name that a room can have."""
        name = user_room(with_key(models.CharField(primary_key=True), key))
        assert name.startswith("user.sha256.")
        assert is_room_name(name)

    def test_differs(self) -> None:
        """No key gets another's room by looking like the hash of it."""
        field = models.CharField(primary_key=True)
        names = {"a.b"}
        for _ in range(3):
            names |= {user_room(with_key(field, name)).removeprefix("user.") for name in names}
        assert len({user_room(with_key(field, name)) for name in names}) == len(names)

    def test_prefix_is_a_setting(self, settings: Settings) -> None:
        """USER_ROOM_PREFIX begins the name; the longest still names a room."""
        settings.REALTIME = {"USER_ROOM_PREFIX": "p" * 28}
        assert user_room(User(pk=7)) == "p" * 28 + "7"
        assert is_room_name(user_room(with_key(models.CharField(primary_key=True), "a b")))

    @pytest.mark.parametrize("nobody", [AnonymousUser(), User()])
    def test_nobody_has_none(self, nobody: User | AnonymousUser) -> None:
        """An anonymous user, and one that was not saved, has no room."""
        with pytest.raises(ValueError, match="primary key"):
            user_room(nobody)

    @pytest.mark.parametrize("key", [7, "7"])
    def test_key_will_do(self, key: object) -> None:
        """A primary key names the room that its user has, in whichever form it comes."""
        assert user_room(key) == user_room(User(pk=7)) == "user.7"

    @pytest.mark.parametrize("key", [None, "ada", object(), 1.5j])
    def test_what_is_no_key_has_none(self, key: object) -> None:
        """What can be no primary key of a user is the caller's error."""
        with pytest.raises(ValueError, match="primary key"):
            user_room(key)


@pytest.mark.usefixtures("memory_layer")
class TestWhoever:
    """Users of all kinds of models."""

    @pytest.mark.parametrize(
        ("name", "told"),
        [(None, ""), ("", ""), (UUID(int=7), str(UUID(int=7))), (Decimal("1.5"), "1.5")],
    )
    async def test_any_name_will_do(
        self, name: object, told: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A user without a name, or with one that is no text, is told it, and has the own room."""
        user = User(pk=7)
        monkeypatch.setattr(user, "get_username", lambda: name)
        async with Client(more={"user": user}) as client:
            answer = (await client.ask(1, connect={}))["connected"]
            assert (answer["user"], answer["room"]) == (told, "user.7")
            assert "subscribed" in await client.ask(2, subscribe={"room": "user.7"})
            await apublish_to_user(7, "by key")
            assert (await client.receive())["data"] == "by key"


@pytest.mark.usefixtures("memory_layer")
class TestKeys:
    """Whose the keys are that clients give their publications."""

    async def test_keys_of_two_users_are_two(
        self, people: tuple[User, User], memory_layer: ShardedChannelLayer
    ) -> None:
        """Of one user they are one on all connections; of two, of nobody and of programs not."""
        ada, grace = people
        offsets = []
        for token in (issue_token(ada), issue_token(grace), None, issue_token(ada), None):
            async with Client() as client:
                await client.ask(1, connect={"token": token})
                command = {"room": "chat.lobby", "data": 1, "key": "order-1"}
                offsets.append((await client.ask(2, publish=command))["published"]["offset"])
        assert offsets == [1, 2, 3, 1, 3]
        for key in ("order-1", "client:order-1", "anonymous:order-1"):
            position = await apublish("chat.lobby", 1, idempotency_key=key)
            assert position is not None
            offsets.append(position.offset)
        assert offsets[5:] == [4, 5, 6]

    async def test_empty_key_is_refused(self) -> None:
        """An empty key is no key that was left out: it is a mistake, whoever makes it."""
        async with Client() as client:
            command = {"room": "chat.lobby", "data": 1, "key": ""}
            assert (await client.ask(1, publish=command))["error"]["code"] == "bad_request"
        with pytest.raises(TypeError, match="idempotency key"):
            await apublish("chat.lobby", 1, idempotency_key="")


@pytest.mark.usefixtures("memory_layer")
class TestRoom:
    """Getting in, and what arrives."""

    async def test_all_devices_get_it(self, people: tuple[User, User]) -> None:
        """What is published to a user reaches each of their connections, and nobody else's."""
        ada, grace = people
        cookie = await database_sync_to_async(cookie_of)(ada)
        async with (
            Client(headers={"Cookie": cookie}) as laptop,
            Client() as phone,
            Client() as other,
        ):
            name = (await laptop.ask(1, connect={}))["connected"]["room"]
            assert name == f"user.{ada.pk}"
            answer = await phone.ask(1, connect={"token": issue_token(ada)})
            assert answer["connected"]["room"] == name
            await laptop.ask(2, subscribe={"room": name})
            await phone.ask(2, subscribe={"room": name})
            own = (await other.ask(1, connect={"token": issue_token(grace)}))["connected"]["room"]
            await other.ask(2, subscribe={"room": own})
            await apublish_to_user(ada, {"text": "for Ada"})
            push = {"room": name, "offset": 1, "data": {"text": "for Ada"}}
            assert await laptop.receive() == push
            assert await phone.receive() == push
            assert await other.ask(3, ping={}) == {"id": 3, "pong": {}}

    async def test_it_is_resumed_like_any_room(self, people: tuple[User, User]) -> None:
        """A device that was away gets what it missed."""
        ada, _ = people
        token = issue_token(ada)
        room = {"room": user_room(ada)}
        async with Client() as phone:
            await phone.ask(1, connect={"token": token})
            position = (await phone.ask(2, subscribe=room))["subscribed"]
        await sync_to_async(publish_to_user)(ada, "meanwhile")
        async with Client() as phone:
            await phone.ask(1, connect={"token": token})
            since = {"offset": position["offset"], "epoch": position["epoch"]}
            again = (await phone.ask(2, subscribe=room | since))["subscribed"]
        assert again["recovered"] is True
        assert again["publications"] == [{"offset": 1, "data": "meanwhile"}]

    @pytest.mark.parametrize("rule", ["anyone", "allow_all", "must_not_be_asked"])
    async def test_others_are_kept_out(
        self, people: tuple[User, User], settings: Settings, rule: str
    ) -> None:
        """Neither a stranger nor a superuser gets in, by no command, whatever ROOMS says."""
        ada, grace = people
        if rule != "anyone":
            rule = f"tests.realtime.access.test_users.{rule}"
        settings.REALTIME = {"ROOMS": {"*": {"subscribe": rule, "publish": rule}}}
        room = user_room(ada)
        for token in (None, issue_token(grace)):
            async with Client(f"room={room}") as client:
                refused = (await client.receive())["subscribed"][0]
                assert refused["error"]["code"] == "forbidden"
                await client.ask(1, connect={"token": token})
                for id, command in enumerate(("subscribe", "history"), 2):
                    error = (await client.ask(id, **{command: {"room": room}}))["error"]
                    assert error["code"] == "forbidden", command

    async def test_only_the_server_publishes(
        self, people: tuple[User, User], settings: Settings, memory_layer: ShardedChannelLayer
    ) -> None:
        """Not even its user publishes to it."""
        settings.REALTIME = {"ROOMS": {"*": {"publish": "anyone"}}}
        ada, _ = people
        async with Client() as client:
            await client.ask(1, connect={"token": issue_token(ada)})
            command = {"room": user_room(ada), "data": 1}
            error = (await client.ask(2, publish=command))["error"]
        assert error["code"] == "forbidden"
        assert await memory_layer.history(user_room(ada)) == []

    async def test_becoming_somebody_else_leaves_it(
        self, people: tuple[User, User], memory_layer: ShardedChannelLayer
    ) -> None:
        """Whoever signs in as another user leaves the first one's room, and no other."""
        ada, grace = people
        async with Client() as client:
            await client.ask(1, connect={"token": issue_token(ada)})
            await client.ask(2, subscribe=[{"room": user_room(ada)}, {"room": "general"}])
            await client.ask(3, connect={"token": issue_token(ada)})
            node = await memory_layer.node()
            assert node.members(user_room(ada)) == 1
            await client.ask(4, connect={"token": issue_token(grace)})
            assert node.members(user_room(ada)) == 0
            assert node.members("general") == 1

    async def test_nobody_can_be_published_to(self) -> None:
        """Publishing to an anonymous user is an error of the caller."""
        with pytest.raises(ValueError, match="primary key"):
            await apublish_to_user(AnonymousUser(), 1)
