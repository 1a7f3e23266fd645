"""Users who were put out of a room: neither an old token nor an answer under way says otherwise."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import jwt
import orjson
import pytest
from django.contrib.auth.models import User
from pytest_django import Settings

from realtime.access.client_permissions import Permissions
from realtime.access.credential import Credential
from realtime.access.identity import Identity, OpenGate
from realtime.access.revocations import RemovalsUnknown, Revocation
from realtime.clients.failures import as_protocol_error
from realtime.clients.history_answer import history_answer
from realtime.clients.sign_in_watch import watch_of
from realtime.connections import adisconnect_session, aunsubscribe
from realtime.people.presence_answer import presence_answer
from realtime.room_tokens import sign_room
from realtime.rooms.room_names import CONTROL_ROOM, REMOVALS_ROOM
from realtime.sending import apublish
from realtime.sharded_layer import sharded_layer
from realtime.tokens import issue_token
from shardlayer import Node, ShardedChannelLayer
from tests.realtime.client import Client
from tests.realtime.revocations import lets_count
from tests.realtime.users import end_queries
from tests.waiting import PATIENCE, until

HOUR = 3_600.0  # seconds
KEY = "k" * 40


def put_out_of(room: str) -> dict[str, Any]:
    """Return what a client is pushed that is put out of a room."""
    return {"room": room, "unsubscribed": {"code": "forbidden"}}


class Slow:
    """A rule that says yes once the test lets it."""

    def __init__(self) -> None:
        self.is_asked = asyncio.Event()
        self.goes_on = asyncio.Event()


slow = Slow()


async def slowly(user: Any, room: str, claims: object) -> bool:
    """Say yes when the test says so."""
    slow.is_asked.set()
    await slow.goes_on.wait()
    return True


@pytest.fixture
def ada(
    transactional_db: None, settings: Settings, memory_layer: ShardedChannelLayer
) -> Iterator[User]:
    """A user; passwords take no time to hash. Rooms are closed, but one that has a slow rule."""
    global slow
    slow = Slow()
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.REALTIME = {
        "ROOMS": {
            "slow": {"subscribe": f"{__name__}.slowly"},
            "open*": {"subscribe": "signed_in", "presence": "signed_in"},
            "*": {"subscribe": "nobody"},
        },
        "JWT_ALGORITHM": "HS256",
        "JWT_KEYS": [KEY],
        "MAX_CLIENT_COMMANDS": 0,
        "MAX_CLIENT_NEW_ROOMS": 0,
        "MAX_USER_NEW_ROOMS": 0,
    }
    yield User.objects.create_user("ada", password="x")
    end_queries()


def signed_before(
    monkeypatch: pytest.MonkeyPatch, user: User, seconds: float, room: str = "orders"
) -> str:
    """Return a token for a room that was signed a while ago and ends in a day."""
    then = time.time() - seconds
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: then)
        return sign_room(room, user, expires=seconds + 24 * HOUR)


async def put_out_before(layer: ShardedChannelLayer, user: User, seconds: float) -> None:
    """Put a user out of a room as somebody did a while ago."""
    entry = Revocation(at=time.time() - seconds, user=str(user.pk), room="orders")
    for room in (REMOVALS_ROOM, CONTROL_ROOM):
        await layer.publish_reserved(room, orjson.dumps(entry.to_json()))


class TestOldTokens:
    """What was issued before somebody was put out opens nothing, however long it lives."""

    @pytest.mark.parametrize("ago", [2 * HOUR, 20 * HOUR])
    async def test_a_rooms_token_outlives_no_removal(
        self,
        ada: User,
        memory_layer: ShardedChannelLayer,
        monkeypatch: pytest.MonkeyPatch,
        ago: float,
    ) -> None:
        """It lives for a day; so the removal is remembered, and others' sign-outs trim nothing."""
        token = signed_before(monkeypatch, ada, ago + 1)
        await put_out_before(memory_layer, ada, ago)
        async with Client() as client:
            await client.ask(1, connect={"token": issue_token(ada)})
            await adisconnect_session("somebody else's")
            answer = await client.ask(2, subscribe={"room": "orders", "token": token})
            assert answer["error"]["code"] == "bad_token"
            fresh = sign_room("orders", ada)
            assert "subscribed" in await client.ask(3, subscribe={"room": "orders", "token": fresh})

    async def test_a_jwts_rooms_outlive_no_removal(
        self, ada: User, memory_layer: ShardedChannelLayer
    ) -> None:
        """One that is valid for eight hours says which rooms it opens."""
        now = time.time()
        claims = {"sub": str(ada.pk), "exp": now + 5 * HOUR, "rooms": ["*"]}
        before, after = (
            jwt.encode(claims | {"iat": now - hours * HOUR}, KEY, "HS256") for hours in (3, 1)
        )
        await put_out_before(memory_layer, ada, 2 * HOUR)
        async with Client() as client:
            await client.ask(1, connect={"token": before})
            answer = await client.ask(2, subscribe={"room": "orders"})
            assert answer["error"]["code"] == "forbidden"
            assert "subscribed" in await client.ask(3, subscribe={"room": "news"})
            await client.ask(4, connect={"token": after})
            assert "subscribed" in await client.ask(5, subscribe={"room": "orders"})

    async def test_old_tokens_go_on_for_whoever_was_not_put_out(
        self, ada: User, memory_layer: ShardedChannelLayer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A worker that has just started knows of all removals that concern them."""
        await put_out_before(memory_layer, ada, HOUR)
        token = signed_before(monkeypatch, ada, 20 * HOUR, "news")
        async with Client() as client:
            await client.ask(1, connect={"token": issue_token(ada)})
            answer = await client.ask(2, subscribe={"room": "news", "token": token})
            assert "subscribed" in answer

    async def test_what_is_older_than_all_that_is_remembered_leaves_it_to_the_rule(
        self, ada: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A token that lives for weeks opens rooms for a day; then only where the rule does."""
        async with Client() as client:
            await client.ask(1, connect={"token": issue_token(ada)})
            token = signed_before(monkeypatch, ada, 25 * HOUR)
            answer = await client.ask(2, subscribe={"room": "orders", "token": token})
            assert answer["error"]["code"] == "bad_token"
            token = signed_before(monkeypatch, ada, 25 * HOUR, "open")
            assert "subscribed" in await client.ask(3, subscribe={"room": "open", "token": token})


class UnreadGate(OpenGate):
    """Of a worker that could not read yet who was put out of rooms."""

    def opens(self, credential: Credential, room: str) -> bool:
        """Know nothing."""
        raise RemovalsUnknown


async def test_a_worker_that_could_not_read_who_was_put_out(ada: User) -> None:
    """Where the rule says no, it asks the client to try again; no token is called bad."""
    may = Permissions(Identity({"user": ada, "headers": []}, UnreadGate))
    assert await may.allows("subscribe", "open", sign_room("open", ada))
    with pytest.raises(RemovalsUnknown) as failure:
        await may.allows("subscribe", "orders", sign_room("orders", ada))
    assert as_protocol_error(failure.value).code == "unavailable"
    assert await may.allows("subscribe", "orders", sign_room("orders"))  # of whoever has it
    identity = Identity({"headers": []}, UnreadGate)
    assert identity.sign_in(Credential(method="jwt", user_id=str(ada.pk), rooms=("*",)))
    assert not await Permissions(identity).allows("subscribe", "orders")


async def test_members_by_token_stay_whatever_others_open(ada: User) -> None:
    """More tokens than are remembered put nobody out of a room."""
    async with Client() as client:
        await client.ask(1, connect={"token": issue_token(ada)})
        token = sign_room("first", ada)
        assert "subscribed" in await client.ask(2, subscribe={"room": "first", "token": token})
        for number in range(401):
            room = f"other.{number}"
            await client.ask(3, subscribe={"room": room, "token": sign_room(room, ada)})
            await client.ask(4, unsubscribe={"room": room})
        assert "connected" in await client.ask(5, connect={"token": issue_token(ada)})
        assert "subscribed" in await client.ask(6, subscribe={"room": "first"})
        assert client.nothing_waits()


class TestAnswersUnderWay:
    """Who is put out while an answer is put together is not told that they are in."""

    async def signed_in(self, client: Client, user: User, node: Node) -> None:
        """Sign in by what is issued now, once the log judges it."""
        watch = watch_of(sharded_layer(), node)
        await until(lambda: lets_count(watch.log, str(user.pk)))
        await client.ask(1, connect={"token": issue_token(user)})

    async def test_of_a_list(self, ada: User, memory_layer: ShardedChannelLayer) -> None:
        """One room's rule is slow; meanwhile the client is put out of the other."""
        node = await memory_layer.node()
        async with Client() as client:
            await self.signed_in(client, ada, node)
            await client.send(2, subscribe=[{"room": "slow"}, {"room": "open"}])
            async with asyncio.timeout(PATIENCE):
                await slow.is_asked.wait()
            await until(lambda: node.members("open") == 1)
            await aunsubscribe(ada, "open")
            assert await client.receive() == put_out_of("open")
            slow.goes_on.set()
            of_slow, of_open = (await client.receive())["subscribed"]
            assert of_slow["room"] == "slow"
            assert "error" not in of_slow
            assert of_open["error"]["code"] == "forbidden"
            await apublish("open", 1)
            assert "pong" in await client.ask(3, ping={})

    async def test_of_a_history(
        self, ada: User, memory_layer: ShardedChannelLayer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Who may not be in the room any more does not get what was published in it."""
        node = await memory_layer.node()

        async def put_out(*arguments: Any, **more: Any) -> bytes:
            answer = await history_answer(*arguments, **more)
            await aunsubscribe(ada, "orders")
            await until(lambda: node.members("orders") == 0)
            return answer

        monkeypatch.setattr("realtime.clients.session.history_answer", put_out)
        token = sign_room("orders", ada)
        async with Client() as client:
            await self.signed_in(client, ada, node)
            await client.ask(2, subscribe={"room": "orders", "token": token})
            await client.send(3, history={"room": "orders"})
            assert await client.receive() == put_out_of("orders")
            answer = await client.receive()
            assert answer["error"]["code"] == "forbidden"

    async def test_of_presence(
        self, ada: User, memory_layer: ShardedChannelLayer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The rule is asked again; where it still says yes, the answer counts."""
        node, calls = await memory_layer.node(), 0

        async def put_out(*arguments: Any, **more: Any) -> bytes:
            nonlocal calls
            calls += 1
            answer = await presence_answer(*arguments, **more)
            await aunsubscribe(ada, "open")
            await until(lambda: node.members("open") == 0)
            return answer

        monkeypatch.setattr("realtime.clients.session.presence_answer", put_out)
        async with Client() as client:
            await self.signed_in(client, ada, node)
            await client.ask(2, subscribe={"room": "open"})
            await client.send(3, presence={"room": "open"})
            assert await client.receive() == put_out_of("open")
            assert "presence" in await client.receive()
            assert calls == 1
