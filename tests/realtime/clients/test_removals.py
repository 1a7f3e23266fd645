"""Users who were put out of a room: neither an old token nor an answer under way says otherwise."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import jwt
import orjson
import pytest
from django.contrib.auth.models import User
from pytest_django import Settings

from realtime.access.client_permissions import Permissions
from realtime.access.credential import Credential
from realtime.access.identity import Identity, OpenGate
from realtime.access.notes import read_note
from realtime.access.revocations import CLOCK_SKEW, RemovalsUnknown, Revocation
from realtime.clients.failures import as_protocol_error
from realtime.clients.history_answer import history_answer
from realtime.clients.room_looks import may_stay
from realtime.clients.sign_in_watch import watch_of
from realtime.conf import conf
from realtime.connections import adisconnect_session, aunsubscribe
from realtime.people.presence_answer import presence_answer
from realtime.room_tokens import sign_room
from realtime.rooms.room_names import CONTROL_ROOM, REMOVALS_ROOM
from realtime.sending import apublish
from realtime.sharded_layer import sharded_layer
from realtime.tokens import issue_token
from shardlayer import Node, Position, ShardedChannelLayer, ShardUnavailable
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


class Clock:
    """The time of day, which the test sets forward."""

    def __init__(self) -> None:
        self.ahead = 0.0  # seconds
        self._time = time.time

    def __call__(self) -> float:
        return self._time() + self.ahead


slow = Slow()
lets_in = True


async def may(user: Any, room: str, claims: object) -> bool:
    """Say what the test has the rule say."""
    return lets_in


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
    global lets_in, slow
    lets_in, slow = True, Slow()
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.REALTIME = {
        "ROOMS": {
            "slow": {"subscribe": f"{__name__}.slowly"},
            "ruled": {"subscribe": f"{__name__}.may"},
            "open*": {"subscribe": "signed_in", "presence": "signed_in"},
            "*": {"subscribe": "nobody"},
        },
        "JWT_ALGORITHM": "HS256",
        "JWT_KEYS": [KEY],
        "RULE_MAX_AGE": 0,
        "MAX_CLIENT_COMMANDS": 0,
        "MAX_CLIENT_NEW_ROOMS": 0,
        "MAX_USER_NEW_ROOMS": 0,
    }
    yield User.objects.create_user("ada", password="x")
    end_queries()


def signed_before(
    monkeypatch: pytest.MonkeyPatch, user: User, seconds: float, room: str = "orders"
) -> str:
    """Return a token for a room that was signed a while ago, and ends in a day or later.

    By settings of then, which let tokens live for a week.
    """
    then, of_then = time.time() - seconds, replace(conf(), room_token_max_age=7 * 24 * 3_600)
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: then)
        for module in ("realtime.room_tokens", "realtime.access.removals_log"):
            patch.setattr(f"{module}.conf", lambda: of_then)
        return sign_room(room, user)


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
            assert "Get a new one" in answer["error"]["message"]
            token = signed_before(monkeypatch, ada, 25 * HOUR, "open")
            assert "subscribed" in await client.ask(3, subscribe={"room": "open", "token": token})


class UnreadGate(OpenGate):
    """Of a worker that could not read yet who was put out of rooms."""

    async def opens(self, credential: Credential, room: str) -> bool:
        """Know nothing."""
        raise RemovalsUnknown


async def test_a_worker_that_could_not_read_who_was_put_out(ada: User) -> None:
    """Where the rule says no, it asks the client to try again; no token is called bad.

    Nor does it put out a member whom the token that signed in has let in.
    """
    may = Permissions(Identity({"user": ada, "headers": []}, UnreadGate))
    assert await may.allows("subscribe", "open", sign_room("open", ada))
    with pytest.raises(RemovalsUnknown) as failure:
        await may.allows("subscribe", "orders", sign_room("orders", ada))
    assert as_protocol_error(failure.value).code == "unavailable"
    assert await may.allows("subscribe", "orders", sign_room("orders"))  # of whoever has it
    identity = Identity({"headers": []}, UnreadGate)
    assert identity.sign_in(Credential(method="jwt", user_id=str(ada.pk), rooms=("*",)))
    may = Permissions(identity)
    assert await may.allows("subscribe", "open")
    for token in (None, sign_room("orders", ada), "no token"):
        with pytest.raises(RemovalsUnknown):
            await may.allows("subscribe", "orders", token)
    assert not await may.allows("publish", "orders")
    assert await may_stay(may, "orders", stays_on_error=True)


async def test_rooms_of_a_token_wait_until_both_logs_are_read(
    ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker starts while Redis is away: the client is asked to try again, and stays a member."""
    monkeypatch.setattr("realtime.clients.sign_in.LOG_PATIENCE", 0.1)
    claims = {"sub": str(ada.pk), "iat": time.time() - HOUR, "exp": time.time() + HOUR}
    by_jwt = jwt.encode(claims | {"rooms": ["orders"]}, KEY, "HS256")
    layer = sharded_layer()
    async with Client() as client:
        with monkeypatch.context() as patch:
            unreadable(patch, CONTROL_ROOM)
            unreadable(patch, REMOVALS_ROOM)
            for number, token in enumerate((issue_token(ada, rooms=["orders"]), by_jwt)):
                assert "connected" in await client.ask(10 + number, connect={"token": token})
                answer = await client.ask(20 + number, subscribe={"room": "orders"})
                assert answer["error"]["code"] == "unavailable"
            answer = await client.ask(30, subscribe={"room": "news"})
            assert answer["error"]["code"] == "forbidden"
        assert await watch_of(layer, await layer.node()).log.settled(PATIENCE)
        assert "subscribed" in await client.ask(40, subscribe={"room": "orders"})


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


def unreadable(monkeypatch: pytest.MonkeyPatch, room: str) -> None:
    """Have the shard of one of the workers' rooms be away for whoever joins it."""
    join = Node.join

    async def without_it(self: Node, name: str, *more: Any, **named: Any) -> Any:
        if name == room:
            raise ShardUnavailable(shard=0, server="away")
        return await join(self, name, *more, **named)

    monkeypatch.setattr(Node, "join", without_it)


class TestRemovalsThatCannotBeRead:
    """A worker starts while the shard of those who were put out is away, and that of all is not."""

    @pytest.fixture(autouse=True)
    def away(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nobody joins the room."""
        unreadable(monkeypatch, REMOVALS_ROOM)

    async def test_old_tokens_open_nothing(
        self,
        ada: User,
        memory_layer: ShardedChannelLayer,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """The log of all forgets after an hour; so the client is asked to try again."""
        await memory_layer.publish_reserved(CONTROL_ROOM, orjson.dumps({"at": time.time()}))
        await memory_layer.clear_history(CONTROL_ROOM)  # which is not new, so
        await put_out_before(memory_layer, ada, 2 * HOUR)
        await memory_layer.clear_history(CONTROL_ROOM)  # as its time does
        async with Client() as client:
            await client.ask(1, connect={"token": issue_token(ada)})
            for number, hours in enumerate((3, 1.5), 2):
                token = signed_before(monkeypatch, ada, hours * HOUR)
                answer = await client.ask(number, subscribe={"room": "orders", "token": token})
                assert answer["error"]["code"] == "unavailable"
            fresh = sign_room("orders", ada)
            assert "subscribed" in await client.ask(8, subscribe={"room": "orders", "token": fresh})

    async def test_who_signs_in_does_not_wait_for_them(
        self, ada: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nor who comes back with a note, or with a token that is newer than the log of all."""
        monkeypatch.setattr("realtime.clients.sign_in.LOG_PATIENCE", 10 * PATIENCE)
        async with Client() as client:
            assert "connected" in await client.ask(1, connect={"token": issue_token(ada)})
            watch = watch_of(sharded_layer(), await sharded_layer().node())
            await until(lambda: lets_count(watch.log, str(ada.pk)))
            fresh = sign_room("orders", ada)
            assert "subscribed" in await client.ask(3, subscribe={"room": "orders", "token": fresh})
            note = (await client.ask(4, note={}))["note"]["note"]
        async with Client() as client:
            assert (await client.ask(5, connect={"note": note}))["connected"]["resumed"]
            assert "subscribed" in await client.ask(6, subscribe={"room": "orders"})


async def test_token_that_is_over_lets_stay_nobody_who_came_in_later(
    ada: User, memory_layer: ShardedChannelLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rule let them in, so it puts them out: asked for the room, or by a sign-in or a note."""
    global lets_in
    later = SimpleNamespace(monotonic=lambda: time.monotonic() + HOUR)
    async with Client() as client:
        await client.ask(1, connect={"token": issue_token(ada)})
        lets_in = False
        token = sign_room("ruled", ada, expires=HOUR)
        assert "subscribed" in await client.ask(2, subscribe={"room": "ruled", "token": token})
        await client.ask(3, unsubscribe={"room": "ruled"})
        monkeypatch.setattr("realtime.access.opened_rooms.time", later)
        answer = await client.ask(4, subscribe={"room": "ruled"})
        assert answer["error"]["code"] == "forbidden"
        for number, asked in enumerate(("subscribe", "history", "connect"), 5):
            lets_in = True
            assert "subscribed" in await client.ask(number, subscribe={"room": "ruled"})
            note = (await client.ask(10 + number, note={}))["note"]["note"]
            assert not read_note(note).signed
            lets_in = False
            if asked == "connect":
                await client.send(20, connect={"token": issue_token(ada)})
                assert await client.receive() == put_out_of("ruled")
                assert "connected" in await client.receive()
            else:
                await client.send(20, **{asked: {"room": "ruled"}})
                if asked == "history":
                    assert await client.receive() == put_out_of("ruled")
                assert (await client.receive())["error"]["code"] == "forbidden"
    assert (await memory_layer.node()).members("ruled") == 0


class TestPuttingOut:
    """Both logs are told, whatever becomes of one, and of what was issued until it holds."""

    def publishing(self, monkeypatch: pytest.MonkeyPatch, before: Callable[[str], None]) -> None:
        """Call a function before each entry is published, with the log's room."""
        publish = ShardedChannelLayer.publish_reserved

        async def publish_reserved(
            self: ShardedChannelLayer, room: str, data: bytes
        ) -> Position | None:
            before(room)
            return await publish(self, room, data)

        monkeypatch.setattr(ShardedChannelLayer, "publish_reserved", publish_reserved)

    @pytest.mark.parametrize("away", [REMOVALS_ROOM, CONTROL_ROOM])
    async def test_one_log_is_away(
        self,
        ada: User,
        memory_layer: ShardedChannelLayer,
        monkeypatch: pytest.MonkeyPatch,
        away: str,
    ) -> None:
        """The other is told all the same: who is in is put out, or it is remembered."""
        node = await memory_layer.node()
        log = watch_of(memory_layer, node).log
        await until(lambda: lets_count(log, str(ada.pk)))
        before = Credential(user_id=str(ada.pk), issued=time.time())

        def fails(room: str) -> None:
            if room == away:
                raise ShardUnavailable(shard=0, server="away")

        async with Client() as client:
            await client.ask(1, connect={"token": issue_token(ada)})
            await client.ask(2, subscribe={"room": "open"})
            self.publishing(monkeypatch, fails)
            with pytest.raises(ShardUnavailable):
                await aunsubscribe(ada, "open")
            if away == REMOVALS_ROOM:
                assert await client.receive() == put_out_of("open")
            await until(lambda: not log.known.opens(before, "open"))

    async def test_the_first_error_is_told(
        self, ada: User, memory_layer: ShardedChannelLayer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """If both are away: the one that was asked first."""

        def fails(room: str) -> None:
            raise ShardUnavailable(shard=int(room == REMOVALS_ROOM), server="away")

        self.publishing(monkeypatch, fails)
        with pytest.raises(ShardUnavailable) as failure:
            await aunsubscribe(ada, "open")
        assert failure.value.shard == 0

    async def test_what_is_issued_until_it_holds(
        self, ada: User, memory_layer: ShardedChannelLayer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A token that somebody gets while Redis is slow opens nothing; one of afterwards does."""
        node, clock = await memory_layer.node(), Clock()
        known = watch_of(memory_layer, node).log.known
        await until(lambda: lets_count(watch_of(memory_layer, node).log, str(ada.pk)))
        issued: list[Credential] = []
        tokens: list[str] = []

        def is_slow(room: str) -> None:
            if not tokens:
                clock.ahead += CLOCK_SKEW / 4
                tokens.append(sign_room("orders", ada))
                issued.append(Credential(user_id=str(ada.pk), issued=time.time()))
                clock.ahead += CLOCK_SKEW / 4

        async with Client() as client:
            await client.ask(1, connect={"token": issue_token(ada)})
            monkeypatch.setattr(time, "time", clock)
            self.publishing(monkeypatch, is_slow)
            await aunsubscribe(ada, "orders")
            fresh = sign_room("orders", ada)
            await until(lambda: not known.opens(issued[0], "orders"))
            (token,) = tokens
            answer = await client.ask(2, subscribe={"room": "orders", "token": token})
            assert answer["error"]["code"] == "bad_token"
            answer = await client.ask(3, subscribe={"room": "orders", "token": fresh})
            assert "subscribed" in answer

    async def test_who_signs_in_meanwhile_is_put_out(
        self, ada: User, memory_layer: ShardedChannelLayer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """While Redis is slow somebody comes in by a new sign-in: that is before it holds."""
        node, clock = await memory_layer.node(), Clock()
        log = watch_of(memory_layer, node).log
        await until(lambda: lets_count(log, str(ada.pk)))
        async with Client() as client:
            monkeypatch.setattr(time, "time", clock)
            publish = ShardedChannelLayer.publish_reserved

            async def publish_reserved(
                self: ShardedChannelLayer, room: str, data: bytes
            ) -> Position | None:
                if room == CONTROL_ROOM and room not in client_is_in:
                    client_is_in.append(room)
                    clock.ahead += 3
                    await client.ask(1, connect={"token": issue_token(ada)})
                    await client.ask(2, subscribe={"room": "open"})
                return await publish(self, room, data)

            client_is_in: list[str] = []
            monkeypatch.setattr(ShardedChannelLayer, "publish_reserved", publish_reserved)
            await aunsubscribe(ada, "open")
            assert await client.receive() == put_out_of("open")


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
