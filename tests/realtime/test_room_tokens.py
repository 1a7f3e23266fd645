"""Tokens that open one room: whom they let in, and what can't be done with them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from channels.db import database_sync_to_async
from django.conf import settings as django_settings
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.models import Session
from django.core import signing
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from django.template import Context, RequestContext, Template
from pytest_django import Settings

from realtime.access.identity import session_digest
from realtime.clients.protocol.commands import CLOSE_SIGNED_OUT
from realtime.clients.sign_in_watch import watch_of
from realtime.connections import adisconnect, aunsubscribe
from realtime.room_tokens import BadRoomToken, read_room_token, sign_room
from realtime.tokens import issue_token
from shardlayer import ShardedChannelLayer
from tests.realtime.client import Client, RecordingSink
from tests.realtime.conftest import channel_layers
from tests.realtime.revocations import lets_count
from tests.realtime.users import cookie_of, end_queries
from tests.waiting import PATIENCE, until

CLOSED = {"*": {"subscribe": "nobody"}}


@pytest.fixture(autouse=True)
def closed(settings: Settings) -> None:
    """Rooms that nobody may subscribe to."""
    settings.REALTIME = {"ROOMS": CLOSED}


@pytest.fixture
def people(transactional_db: None, settings: Settings) -> Iterator[tuple[User, User]]:
    """Ada and Grace; passwords take no time to hash."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    yield (
        User.objects.create_user("ada", password="x"),
        User.objects.create_user("grace", password="x"),
    )
    end_queries()


def forged(room: str, text: str) -> str:
    """Return a token that is signed rightly, whatever it says."""
    signer = signing.Signer(salt="realtime.room", sep=".")
    return signer.sign(f"{room}~{text}").partition("~")[2]


def is_too_old(room: str, token: str) -> bool:
    """Tell whether a token opens its room no more."""
    try:
        read_room_token(room, token)
    except BadRoomToken:
        return True
    return False


def soon() -> int:
    """Return a minute from now."""
    return int(time.time()) + 60


class TestReading:
    """`sign_room` and `read_room_token`."""

    def test_it_says_until_when(self, settings: Settings) -> None:
        """By default ROOM_TOKEN_MAX_AGE."""
        now = time.time()
        assert now + 86_399 <= read_room_token("a", sign_room("a")).expires <= time.time() + 86_400
        assert read_room_token("a", sign_room("a", expires=9)).expires <= time.time() + 9
        settings.REALTIME = {"ROOM_TOKEN_MAX_AGE": 5}
        assert read_room_token("a", sign_room("a")).expires <= time.time() + 5

    def test_it_stands_in_a_url(self) -> None:
        """Of letters that need no escape, and short."""
        token = sign_room("a", User(pk=7), session_key="k" * 32)
        assert len(token) < 120
        assert set(token) <= set(signing.BASE62_ALPHABET + "-_.")

    @pytest.mark.parametrize(
        "token",
        [
            "",
            ".",
            "...",
            "x" * 513,
            "9" * 400,
            "é.é.é.é",
            "\0",
            "a\n.b.c.d",
            "~",
            "1.2.3.4~5",
            sign_room("a")[:-1],
            sign_room("a") + "A",
            sign_room("a").replace(".", "..", 1),
            "9" + sign_room("a"),
            sign_room("a").split(".", 1)[1],
            signing.dumps("a", salt="realtime.room"),
            signing.Signer(salt="realtime.token", sep=".").sign(f"a~{soon()}.1.."),
            signing.Signer(key="another key", salt="realtime.room", sep=".").sign(f"{soon()}.1.."),
        ],
        ids=map(str, count()),  # tokens have the time in them, and ids must not
    )
    def test_what_is_no_token(self, token: str) -> None:
        """Whatever somebody sends is refused, and is no error."""
        with pytest.raises(BadRoomToken, match="not valid"):
            read_room_token("a", token)

    @pytest.mark.parametrize(
        "said",
        ["", "1", "x.1..", "1.2.3", "1.2.3.4.5", "1e9.1..", "nan.1..", "..9.", "9..Nw.", "9.1.é."],
    )
    def test_what_an_older_version_may_have_signed(self, said: str) -> None:
        """A text that is signed, but says nothing that we know, opens nothing."""
        with pytest.raises(BadRoomToken):
            read_room_token("a", forged("a", said))

    @pytest.mark.parametrize("room", ["b", "a.", "a.b", "A", "", "user.7"])
    def test_it_opens_no_other_room(self, room: str) -> None:
        """The signature is of one room."""
        with pytest.raises(BadRoomToken, match="not valid"):
            read_room_token(room, sign_room("a"))

    def test_rooms_with_periods_are_told_apart(self) -> None:
        """Part of a room's name never passes for part of a token."""
        token = sign_room("a.1")
        with pytest.raises(BadRoomToken):
            read_room_token("a", f"1~{token}")
        with pytest.raises(BadRoomToken):
            read_room_token("a", f"1.{token}")

    def test_it_ends(self) -> None:
        """An expired one is told apart, so that a page can fetch another."""
        with pytest.raises(BadRoomToken, match="too old"):
            read_room_token("a", forged("a", f"{int(time.time()) - 1}.1.."))

    def test_old_keys_go_on(self, settings: Settings) -> None:
        """SECRET_KEY_FALLBACKS count, as everywhere in Django."""
        token = sign_room("a")
        old = django_settings.SECRET_KEY
        settings.SECRET_KEY = "a new one"
        with pytest.raises(BadRoomToken):
            read_room_token("a", token)
        settings.SECRET_KEY_FALLBACKS = [old]
        assert read_room_token("a", token)

    @pytest.mark.parametrize(
        "arguments",
        [
            {"room": "no room!"},
            {"room": "user.7"},
            {"room": "a", "expires": 0},
            {"room": "a", "expires": -5},
            {"room": "a", "expires": float("nan")},
            {"room": "a", "user": User()},
            {"room": "a", "user": User(pk="x" * 400)},
        ],
    )
    def test_what_can_not_be_signed(self, arguments: dict[str, Any]) -> None:
        """A mistake of the server's own code is an error there."""
        with pytest.raises(ValueError, match=r"\w"):
            sign_room(**arguments)

    def test_users_token_lives_as_long_as_removals_are_remembered(self, settings: Settings) -> None:
        """A longer time is cut, which a warning says; that of a token for anybody is not."""
        day, week = 86_400, 7 * 86_400

        def lives(user: User | None) -> float:
            token = sign_room("a", user, expires=week)
            return read_room_token("a", token).expires - time.time()

        with pytest.warns(RuntimeWarning, match="ROOM_TOKEN_MAX_AGE") as told:
            assert lives(User(pk=7)) <= day
        assert told[0].filename == __file__
        assert lives(None) > week - 60
        settings.REALTIME = {"ROOM_TOKEN_MAX_AGE": week}
        assert lives(User(pk=7)) > week - 60
        settings.CHANNEL_LAYERS = channel_layers(hosts=["memory://short"], meta_ttl=3_600)
        with pytest.warns(RuntimeWarning, match="meta_ttl"):
            assert lives(User(pk=7)) <= 3_600


@pytest.mark.usefixtures("memory_layer")
class TestJoining:
    """A client that shows one."""

    async def test_a_room_is_joined(self, memory_layer: ShardedChannelLayer) -> None:
        """By `subscribe`, alone and in a list, and by the URL; nobody asks a database."""
        token = sign_room("orders")
        for first, query in ((None, f"room=orders~{token}&room=b"), (1, "")):
            async with Client(query) as client:
                if first is None:
                    joined, refused = (await client.receive())["subscribed"]
                else:
                    rooms = [{"room": "orders", "token": token}, {"room": "b"}]
                    joined, refused = (await client.ask(1, subscribe=rooms))["subscribed"]
                assert (joined["room"], refused["room"]) == ("orders", "b")
                assert "error" not in joined
                assert refused["error"]["code"] == "forbidden"
                await memory_layer.publish("orders", b"1")
                assert (await client.receive())["data"] == 1
        async with Client(f"room=orders~{token}") as client:
            [joined] = (await client.receive())["subscribed"]
            assert joined["recovered"] is False

    async def test_it_is_shown_once(self, memory_layer: ShardedChannelLayer) -> None:
        """Until it ends, the connection may read and join again without; publishing is not open."""
        async with Client() as client:
            error = (await client.ask(1, history={"room": "a"}))["error"]
            assert error["code"] == "forbidden"
            read = await client.ask(2, history={"room": "a", "token": sign_room("a")})
            assert "history" in read
            assert "subscribed" in await client.ask(3, subscribe={"room": "a"})
            assert "history" in await client.ask(4, history={"room": "a"})
            error = (await client.ask(5, publish={"room": "a", "data": 1}))["error"]
            assert error["code"] == "forbidden"
            error = (await client.ask(6, subscribe={"room": "b"}))["error"]
            assert error["code"] == "forbidden"

    async def test_who_is_in_the_room_stays_when_it_has_expired(
        self, memory_layer: ShardedChannelLayer
    ) -> None:
        """Whatever is asked, with the old token or without; who has left needs a new one."""
        node = await memory_layer.node()
        token = sign_room("a", expires=6)
        old = {"room": "a", "token": token}
        async with Client() as client:
            assert "subscribed" in await client.ask(1, subscribe=old)
            await until(lambda: is_too_old("a", token))
            assert "history" in await client.ask(2, history={"room": "a"})
            assert "history" in await client.ask(3, history=old)
            assert "subscribed" in await client.ask(4, subscribe={"room": "a"})
            assert "subscribed" in await client.ask(5, subscribe=old)
            assert node.members("a") == 1
            await client.ask(6, unsubscribe={"room": "a"})
            assert (await client.ask(7, subscribe=old))["error"]["code"] == "bad_token"
            error = (await client.ask(8, history={"room": "a"}))["error"]
            assert error["code"] == "forbidden"

    @pytest.mark.parametrize(
        ("token", "code"),
        [
            (sign_room("b"), "bad_token"),
            (forged("a", "1.1.."), "bad_token"),
            ("x", "bad_token"),
            ("x" * 513, "bad_token"),
            (5, "bad_token"),
            ({}, "bad_token"),
        ],
        ids=map(str, count()),
    )
    async def test_a_bad_token_opens_nothing(
        self, memory_layer: ShardedChannelLayer, token: Any, code: str
    ) -> None:
        """It is said that the token is to blame; the list's other rooms are joined."""
        node = await memory_layer.node()
        async with Client() as client:
            answer = await client.ask(1, subscribe={"room": "a", "token": token})
            assert answer["error"]["code"] == code
            rooms = [{"room": "a", "token": token}, {"room": "c", "token": sign_room("c")}]
            bad, good = (await client.ask(2, subscribe=rooms))["subscribed"]
            assert bad["error"]["code"] == code
            assert "error" not in good
            assert node.members("a") == 0
            answer = await client.ask(3, history={"room": "a", "token": token})
            assert answer["error"]["code"] == code

    async def test_a_bad_token_closes_nothing(self, settings: Settings) -> None:
        """Where the rule lets the client in, an old token does not matter."""
        settings.REALTIME = {"ROOMS": {"*": {"subscribe": "anyone"}}}
        async with Client() as client:
            answer = await client.ask(1, subscribe={"room": "a", "token": forged("a", "1.1..")})
            assert "subscribed" in answer

    async def test_it_opens_no_users_room(self, people: tuple[User, User]) -> None:
        """Whoever could sign it."""
        ada, grace = people
        room = f"user.{ada.pk}"
        async with Client() as client:
            await client.ask(1, connect={"token": issue_token(grace)})
            asked = {"room": room, "token": forged(room, f"{soon()}.1..")}
            assert (await client.ask(2, subscribe=asked))["error"]["code"] == "bad_token"

    async def test_it_is_one_users(self, people: tuple[User, User]) -> None:
        """Another user's, and nobody's, connection is refused, whatever it says."""
        ada, grace = people
        token = sign_room("a", ada)
        for bearer, code in ((ada, None), (grace, "bad_token"), (None, "bad_token")):
            async with Client() as client:
                if bearer is not None:
                    await client.ask(1, connect={"token": issue_token(bearer)})
                answer = await client.ask(2, subscribe={"room": "a", "token": token})
                assert answer.get("error", {}).get("code") == code

    async def test_becoming_somebody_else_ends_it(self, people: tuple[User, User]) -> None:
        """What was opened to one user is not open to the next."""
        ada, grace = people
        async with Client() as client:
            await client.ask(1, connect={"token": issue_token(ada)})
            await client.ask(2, history={"room": "a", "token": sign_room("a", ada)})
            await client.ask(3, connect={"token": issue_token(grace)})
            error = (await client.ask(4, history={"room": "a"}))["error"]
            assert error["code"] == "forbidden"

    async def test_a_session_is_recognised_without_a_query(
        self, memory_layer: ShardedChannelLayer
    ) -> None:
        """By its cookie alone: a query would fail this test. Signing out ends the connection."""
        watch = watch_of(memory_layer, await memory_layer.node())
        # Of what is older than the log nothing is known.
        await until(lambda: lets_count(watch.log, "7"))
        token = sign_room("a", User(pk=7), session_key="k" * 32)
        cookie = f"sessionid={'k' * 32}"
        sink = RecordingSink()
        async with Client(f"room=a~{token}", headers={"Cookie": cookie}, sink=sink) as client:
            [joined] = (await client.receive())["subscribed"]
            assert "error" not in joined
            await adisconnect(7)
            await asyncio.wait_for(sink.is_closed.wait(), PATIENCE)
            assert sink.closed == (CLOSE_SIGNED_OUT, "signed out")
        async with Client(f"room=a~{token}", headers={"Cookie": cookie}) as client:
            [refused] = (await client.receive())["subscribed"]
            assert refused["error"]["code"] == "bad_token"

    async def test_a_session_that_is_deleted_ends_what_it_opened(
        self, people: tuple[User, User], memory_layer: ShardedChannelLayer, settings: Settings
    ) -> None:
        """Also where the client has asked who it is meanwhile, and was told: nobody."""
        settings.REALTIME = {"ROOMS": CLOSED, "SESSION_RECHECK": 1}
        ada, _ = people
        watch = watch_of(memory_layer, await memory_layer.node())
        await until(lambda: lets_count(watch.log, "7"))
        cookie = await database_sync_to_async(cookie_of)(ada)
        key = cookie.rpartition("=")[2]
        token = sign_room("a", ada, session_key=key)
        sink = RecordingSink()
        async with Client(headers={"Cookie": cookie}, sink=sink) as client:
            # Nobody looks at the session for the token, so it may be gone by then.
            await Session.objects.filter(pk=key).adelete()
            assert "subscribed" in await client.ask(1, subscribe={"room": "a", "token": token})
            assert (await client.ask(2, connect={}))["connected"]["user"] is None
            await asyncio.wait_for(sink.is_closed.wait(), PATIENCE)
            assert sink.closed == (CLOSE_SIGNED_OUT, "the session has ended")

    async def test_becoming_somebody_else_closes_what_a_session_opened(
        self, people: tuple[User, User], memory_layer: ShardedChannelLayer
    ) -> None:
        """Also where nobody had to look at that session, and so nobody was signed in."""
        ada, grace = people
        watch, node = watch_of(memory_layer, await memory_layer.node()), await memory_layer.node()
        await until(lambda: lets_count(watch.log, "7"))
        token = sign_room("a", ada, session_key="k" * 32)
        async with Client(headers={"Cookie": f"sessionid={'k' * 32}"}) as client:
            assert "subscribed" in await client.ask(1, subscribe={"room": "a", "token": token})
            assert node.members("a") == 1
            await client.send(2, connect={"token": issue_token(grace)})
            answers = [await client.receive() for _ in range(2)]
            assert answers[1]["connected"]["user"] == "grace"
            assert answers[0]["room"] == "a"
            assert node.members("a") == 0
            answer = await client.ask(3, subscribe={"room": "a"})
            assert answer["error"]["code"] == "forbidden"

    async def test_who_was_put_out_stays_out(self, people: tuple[User, User]) -> None:
        """A token that was issued before opens the room no more; one that is issued later does."""
        ada, _ = people
        token, other = sign_room("a", ada), sign_room("b", ada)
        async with Client() as client:
            await client.ask(1, connect={"token": issue_token(ada)})
            await client.ask(2, subscribe=[{"room": "a", "token": token}])
            await aunsubscribe(ada, "a")
            assert (await client.receive())["room"] == "a"
            answer = await client.ask(3, subscribe={"room": "a", "token": token})
            assert answer["error"]["code"] == "bad_token"
            assert "subscribed" in await client.ask(4, subscribe={"room": "b", "token": other})
            answer = await client.ask(5, subscribe={"room": "a", "token": sign_room("a", ada)})
            assert "subscribed" in answer

    @pytest.mark.parametrize("command", ["history", "subscribe"])
    async def test_who_is_put_out_while_a_token_is_looked_at_stays_out(
        self,
        people: tuple[User, User],
        memory_layer: ShardedChannelLayer,
        monkeypatch: pytest.MonkeyPatch,
        command: str,
    ) -> None:
        """Such as by what a worker that has just begun reads in the log."""
        ada, _ = people
        node = await memory_layer.node()
        log = watch_of(memory_layer, node).log
        asked = {"room": "a", "token": sign_room("a", ada)}
        looks, goes_on = asyncio.Event(), asyncio.Event()

        async def settled(patience: float) -> None:
            looks.set()
            await goes_on.wait()

        async with Client() as client:
            await client.ask(1, connect={"token": issue_token(ada)})
            assert "subscribed" in await client.ask(2, subscribe=asked)
            monkeypatch.setattr(log, "sign_outs_read", settled)
            await client.send(3, **{command: asked})
            await asyncio.wait_for(looks.wait(), PATIENCE)
            await aunsubscribe(ada, "a")
            assert "unsubscribed" in await client.receive()
            goes_on.set()
            assert (await client.receive())["error"]["code"] == "bad_token"
            assert node.members("a") == 0

    async def test_without_that_session_the_user_is_looked_up(
        self, people: tuple[User, User]
    ) -> None:
        """Of another device, or signed in anew, it is the same user; others are refused."""
        ada, grace = people
        token = sign_room("a", ada, session_key="k" * 32)
        hers = await database_sync_to_async(cookie_of)(ada)
        others = await database_sync_to_async(cookie_of)(grace)
        for cookie, code in (
            (hers, None),
            (others, "bad_token"),
            ("sessionid=gone", "bad_token"),
            ("", "bad_token"),
        ):
            async with Client(f"room=a~{token}", headers={"Cookie": cookie}) as client:
                [answer] = (await client.receive())["subscribed"]
                assert answer.get("error", {}).get("code") == code

    async def test_signing_in_by_token_hides_the_session(self, people: tuple[User, User]) -> None:
        """Whoever becomes somebody else on a connection has not the session's rooms."""
        ada, grace = people
        token = sign_room("a", ada, session_key="k" * 32)
        async with Client(headers={"Cookie": f"sessionid={'k' * 32}"}) as client:
            await client.ask(1, connect={"token": issue_token(grace)})
            answer = await client.ask(2, subscribe={"room": "a", "token": token})
            assert answer["error"]["code"] == "bad_token"


class TestTag:
    """`{% realtime_room_token "orders" %}`."""

    TEMPLATE = "{% load realtime %}{% realtime_room_token room expires=60 %}"

    def test_without_a_request(self) -> None:
        """Nobody knows whose page it is: no token, rather than one for whoever has it."""
        with pytest.raises(ImproperlyConfigured, match="needs the request"):
            Template(self.TEMPLATE).render(Context({"room": "orders"}))

    @pytest.mark.parametrize("user", [AnonymousUser(), User(pk=7)])
    def test_with_a_request(self, user: Any) -> None:
        """A page for a user has a token of theirs, and of their session."""
        request = HttpRequest()
        request.user = user
        request.session = SessionBase("k" * 32)
        token = Template(self.TEMPLATE).render(RequestContext(request, {"room": "orders"}))
        grant = read_room_token("orders", token)
        bearer = grant.bearer
        assert grant.expires <= time.time() + 61
        assert (bearer is not None) is user.is_authenticated
        if bearer is not None:
            assert (bearer.user_id, bearer.session) == ("7", session_digest("k" * 32))
            assert time.time() - 60 < bearer.issued <= time.time()
