"""What a connection may do, by ROOMS."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from channels.db import database_sync_to_async
from django.contrib.auth.models import AnonymousUser, Permission, User
from django.utils.functional import SimpleLazyObject
from pytest_django import Settings

from realtime.access.client_permissions import Permissions
from realtime.access.identity import Identity
from realtime.access.rules_by_room import room_rules
from realtime.clients.client_counters import ClientCounters, counters
from realtime.room_tokens import sign_room
from shardlayer import ShardedChannelLayer
from tests.realtime.client import Client
from tests.realtime.test_room_tokens import is_too_old
from tests.realtime.users import cookie_of, end_queries
from tests.waiting import until

HERE = "tests.realtime.access.test_client_permissions"

asked: list[tuple[Any, str, Any]] = []
lets_in = True
is_broken = False
threads: set[int] = set()


async def may(user: Any, room: str, claims: Any) -> bool:
    """Answer what the test says, and remember who was asked about."""
    asked.append((user, room, claims))
    return lets_in


def may_in_thread(user: Any, room: str, claims: Any) -> bool:
    """Ask the database, which is forbidden in the loop's thread."""
    threads.add(threading.get_ident())
    return not User.objects.filter(username=room).exists()


def no_users(user: Any, room: str, claims: Any) -> Any:
    """Answer with a QuerySet, which asks the database whether it is true."""
    return User.objects.filter(username="nobody has this name")


def decorated(user: Any, room: str, claims: Any) -> Any:
    """Be a synchronous function that returns an awaitable, as a decorator makes one."""
    return refuses(user, room, claims)


async def refuses(user: Any, room: str, claims: Any) -> bool:
    """Let nobody in."""
    return False


async def fails(user: Any, room: str, claims: Any) -> bool:
    """Fail, and be asked again."""
    asked.append((user, room, claims))
    raise RuntimeError("hunter2")


async def may_at_first(user: Any, room: str, claims: Any) -> bool:
    """Let everybody in until the test has it fail."""
    asked.append((user, room, claims))
    if is_broken:
        raise RuntimeError("hunter2")
    return True


class Owners:
    """A rule that is an object with an asynchronous call."""

    async def __call__(self, user: Any, room: str, claims: Any) -> bool:
        return False


owners = Owners()


@pytest.fixture(autouse=True)
def fresh() -> None:
    """Nobody was asked yet."""
    global lets_in, is_broken
    asked.clear()
    lets_in, is_broken = True, False
    for name in ClientCounters.__slots__:
        setattr(counters, name, 0)


@pytest.fixture
def users(transactional_db: None, settings: Settings) -> Iterator[tuple[User, User]]:
    """Ada, and Grace who is staff; passwords take no time to hash."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    yield (
        User.objects.create_user("ada", password="x"),
        User.objects.create_user("grace", password="x", is_staff=True),
    )
    end_queries()


def permissions(user: Any = None) -> Permissions:
    """Return those of a connection of that user."""
    scope: dict[str, Any] = {"headers": []} | ({"user": user} if user else {})
    return Permissions(Identity(scope))


@pytest.mark.parametrize(
    ("rule", "who"),
    [
        ("anyone", "anonymous ada grace"),
        ("signed_in", "ada grace"),
        ("staff", "grace"),
        ("nobody", ""),
    ],
)
@pytest.mark.parametrize("action", ["subscribe", "publish", "presence"])
async def test_named_rules(settings: Settings, rule: str, who: str, action: Any) -> None:
    """Each named rule lets in whom it says, and nobody's database is asked."""
    settings.REALTIME = {"ROOMS": {"a": {action: rule}}}
    people = {
        "anonymous": AnonymousUser(),
        "ada": User(pk=1, username="ada"),
        "grace": User(pk=2, username="grace", is_staff=True),
        "fired": User(pk=3, username="fired", is_staff=True, is_active=False),
    }
    allowed = {name for name, user in people.items() if await permissions(user).allows(action, "a")}
    assert allowed - {"fired"} == set(who.split())
    assert ("fired" in allowed) is (rule in {"anyone", "signed_in"})


async def test_by_default_nobody_may(settings: Settings) -> None:
    """Without ROOMS who is signed in subscribes, and that is all."""
    settings.REALTIME = {}
    ada, nobody = permissions(User(pk=1)), permissions(AnonymousUser())
    assert await ada.allows("subscribe", "orders")
    assert not await nobody.allows("subscribe", "orders")
    for action in ("publish", "presence"):
        assert not await ada.allows(action, "orders")


async def test_first_glob_that_matches_decides(settings: Settings) -> None:
    """Its rules are all that count; a room that no glob matches is nobody's."""
    settings.REALTIME = {
        "ROOMS": {
            "chat.vip": {"subscribe": "nobody"},
            "chat.*": {"subscribe": "anyone", "publish": "anyone"},
        }
    }
    anybody = permissions()
    assert not await anybody.allows("subscribe", "chat.vip")
    assert not await anybody.allows("publish", "chat.vip")
    assert await anybody.allows("publish", "chat.a.b")
    assert not await permissions(User(pk=1)).allows("subscribe", "news")
    assert not await anybody.allows("subscribe", "CHAT.a")
    assert room_rules().of("chat.a").settings == room_rules().of("chat.b").settings


async def test_functions_get_user_room_and_claims(settings: Settings) -> None:
    """And what they answer counts."""
    global lets_in
    settings.REALTIME = {"ROOMS": {"*": {"subscribe": f"{HERE}.may"}}, "RULE_MAX_AGE": 0}
    user = User(pk=1)
    connection = permissions(user)
    assert await connection.allows("subscribe", "a")
    lets_in = False
    assert not await connection.allows("subscribe", "a")
    assert asked == [(user, "a", {})] * 2


async def test_answers_are_remembered_for_a_time(settings: Settings) -> None:
    """RULE_MAX_AGE of seconds, for one rule and room; as many as MAX_CLIENT_RULES says."""
    rules = {"subscribe": f"{HERE}.may", "publish": f"{HERE}.may", "presence": f"{HERE}.refuses"}
    settings.REALTIME = {"ROOMS": {"*": rules}, "MAX_CLIENT_RULES": 2}
    connection = permissions(AnonymousUser())
    for _ in range(3):
        assert await connection.allows("subscribe", "a")
        assert await connection.allows("publish", "a")
    assert not await connection.allows("presence", "a")
    assert [room for _, room, _ in asked] == ["a"]
    assert (counters.rules_asked, counters.rules_recalled) == (2, 5)
    await connection.allows("subscribe", "b")
    await connection.allows("subscribe", "a")
    assert [room for _, room, _ in asked] == ["a", "b", "a"]
    connection.forget()
    await connection.allows("subscribe", "a")
    assert len(asked) == 4
    await permissions(AnonymousUser()).allows("subscribe", "a")  # another connection
    assert len(asked) == 5


async def test_errors_are_not_remembered(settings: Settings) -> None:
    """A rule that fails is asked again."""
    settings.REALTIME = {"ROOMS": {"*": {"subscribe": f"{HERE}.fails"}}}
    connection = permissions(AnonymousUser())
    for _ in range(2):
        with pytest.raises(RuntimeError):
            await connection.allows("subscribe", "a")
    assert len(asked) == 2


async def test_synchronous_functions_run_in_a_thread(
    settings: Settings, users: tuple[User, User]
) -> None:
    """Where Django lets them use the database."""
    settings.REALTIME = {
        "ROOMS": {
            "none": {"subscribe": f"{HERE}.no_users"},
            "*": {"subscribe": f"{HERE}.may_in_thread"},
        }
    }
    connection = permissions()
    assert await connection.allows("subscribe", "free")
    assert not await connection.allows("subscribe", "ada")
    assert not await connection.allows("subscribe", "none")
    assert threads
    assert threading.get_ident() not in threads


@pytest.mark.parametrize("rule", ["decorated", "owners"])
async def test_what_returns_an_awaitable_is_awaited(settings: Settings, rule: str) -> None:
    """An awaitable is true by itself; it must not let anybody in."""
    settings.REALTIME = {"ROOMS": {"*": {"subscribe": f"{HERE}.{rule}"}}}
    assert not await permissions(AnonymousUser()).allows("subscribe", "a")


async def test_permissions_of_django(settings: Settings, users: tuple[User, User]) -> None:
    """`permission:` lets in who has it."""
    ada, grace = users
    view = await Permission.objects.aget(codename="view_room")
    await ada.user_permissions.aadd(view)
    settings.REALTIME = {"ROOMS": {"*": {"subscribe": "permission:realtime.view_room"}}}
    assert await permissions(ada).allows("subscribe", "a")
    assert await permissions(SimpleLazyObject(lambda: ada)).allows("subscribe", "a")
    assert not await permissions(grace).allows("subscribe", "a")
    assert not await permissions(AnonymousUser()).allows("subscribe", "a")


async def test_a_permission_that_was_taken_away(
    settings: Settings, users: tuple[User, User]
) -> None:
    """Is gone when the rule is asked again, also on a connection that had it."""
    ada, _ = users
    view = await Permission.objects.aget(codename="view_room")
    await ada.user_permissions.aadd(view)
    rule = {"*": {"subscribe": "permission:realtime.view_room"}}
    settings.REALTIME = {"ROOMS": rule, "RULE_MAX_AGE": 0}
    connection = permissions(ada)
    assert await connection.allows("subscribe", "a")
    await ada.user_permissions.aremove(view)
    assert not await connection.allows("subscribe", "a")
    await ada.user_permissions.aadd(view)
    assert await connection.allows("subscribe", "a")
    await User.objects.filter(pk=ada.pk).aupdate(is_active=False)
    assert not await connection.allows("subscribe", "a")


@pytest.mark.usefixtures("memory_layer")
class TestMembers:
    """A rule that is asked again."""

    @pytest.mark.parametrize("command", ["subscribe", "history"])
    async def test_no_ends_the_membership(
        self, settings: Settings, memory_layer: ShardedChannelLayer, command: str
    ) -> None:
        """Who may not any more, and asks, is out; publishing does not ask about that."""
        global lets_in
        rules = {"subscribe": f"{HERE}.may", "publish": "nobody"}
        settings.REALTIME = {"ROOMS": {"*": rules}, "RULE_MAX_AGE": 0}
        node = await memory_layer.node()
        async with Client(more={"user": AnonymousUser()}) as client:
            await client.ask(1, subscribe=[{"room": "a"}, {"room": "b"}])
            error = (await client.ask(2, publish={"room": "a", "data": 1}))["error"]
            assert (error["code"], node.members("a")) == ("forbidden", 1)
            lets_in = False
            await client.send(3, **{command: {"room": "a"}})
            if command == "history":  # to whoever follows the room on this connection
                told = {"room": "a", "unsubscribed": {"code": "forbidden"}}
                assert await client.receive() == told
            assert (await client.receive())["error"]["code"] == "forbidden"
            assert (node.members("a"), node.members("b")) == (0, 1)
            assert counters.forbidden == 2
            await memory_layer.publish("a", b"1")
            await memory_layer.publish("b", b"2")
            assert (await client.receive())["room"] == "b"
            error = (await client.ask(4, unsubscribe={"room": "a"}))["error"]
            assert error["code"] == "not_subscribed"

    async def test_members_are_looked_at_again(
        self, settings: Settings, users: tuple[User, User], memory_layer: ShardedChannelLayer
    ) -> None:
        """With their session: who may not stay is put out; a token's room and a failing rule's not.

        The rule of `b` fails, that of `c` lets nobody in.
        """
        global lets_in, is_broken
        settings.REALTIME = {
            "ROOMS": {
                "a": {"subscribe": f"{HERE}.may"},
                "b": {"subscribe": f"{HERE}.may_at_first"},
                "c": {"subscribe": "nobody"},
            },
            "RULE_MAX_AGE": 0,
            "SESSION_RECHECK": 1,
        }
        ada, _ = users
        cookie = await database_sync_to_async(cookie_of)(ada)
        node = await memory_layer.node()
        async with Client(headers={"Cookie": cookie}) as client:
            token = sign_room("c", expires=6)
            rooms = [{"room": "a"}, {"room": "b"}, {"room": "c", "token": token}]
            joined = (await client.ask(1, subscribe=rooms))["subscribed"]
            assert not any("error" in each for each in joined)
            await until(lambda: is_too_old("c", token))
            asked.clear()
            await until(lambda: len(asked) >= 2)  # looked at, and it may stay
            assert [node.members(room) for room in "abc"] == [1, 1, 1]
            lets_in, is_broken = False, True
            told = await client.receive()
            assert told == {"room": "a", "unsubscribed": {"code": "forbidden"}}
            asked.clear()
            await until(lambda: len(asked) >= 2)  # b, twice
            assert {room for _, room, _ in asked} == {"b"}
            assert [node.members(room) for room in "abc"] == [0, 1, 1]
