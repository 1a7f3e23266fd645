"""What becomes of connected clients whose sign-in ends, and of those who come back with a note."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from channels.db import database_sync_to_async
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.core import signing
from django.db import connections
from django.test import Client as Browser
from pytest_django import Settings

from realtime.access.notes import MAX_NOTE, read_note
from realtime.access.revocations import CLOCK_SKEW
from realtime.clients.client_counters import counters
from realtime.connections import adisconnect, aunsubscribe
from realtime.room_tokens import sign_room
from realtime.rooms.room_names import OWN_ROOMS
from realtime.tokens import issue_token
from shardlayer import ShardedChannelLayer
from tests.realtime.client import Client, offering
from tests.realtime.users import cookie_of, end_queries
from tests.waiting import PATIENCE

RULES: dict[str, Any] = {
    "ROOMS": {"*": {"subscribe": f"{__name__}.only_ada"}},
    "MAX_USER_CONNECTIONS": 0,
}

asked: list[str] = []


async def only_ada(user: Any, room: str, claims: object) -> bool:
    """Ask the database, as a project's rule does."""
    asked.append(room)
    return await User.objects.filter(pk=user.pk, username="ada").aexists()


@pytest.fixture
def people(
    transactional_db: None, settings: Settings, memory_layer: ShardedChannelLayer
) -> Iterator[tuple[User, User]]:
    """Ada and Eve; only Ada gets into rooms. Passwords take no time to hash."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.REALTIME = RULES
    asked.clear()
    ada = User.objects.create_user("ada", password="x")
    eve = User.objects.create_user("eve", password="x")
    yield ada, eve
    end_queries()


class Queries:
    """Counts what the database is asked, in whichever thread."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __call__(self, execute: Any, sql: str, *more: Any) -> Any:
        self.seen.append(sql)
        return execute(sql, *more)


@pytest.fixture
async def queries(people: tuple[User, User]) -> Any:
    """What the thread of the asynchronous ORM is asked from here on."""
    counted = Queries()
    wrappers = await database_sync_to_async(lambda: connections["default"].execute_wrappers)()
    wrappers.append(counted)
    yield counted
    wrappers.remove(counted)


async def cookie(user: User) -> dict[str, str]:
    """Return the headers of a browser that the user is signed in with."""
    return {"Cookie": await database_sync_to_async(cookie_of)(user)}


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 (nobody tells)
            await asyncio.sleep(0.01)


async def past_the_skew() -> None:
    """Wait until the log is older than the clocks' difference, so that it judges what comes now."""
    await asyncio.sleep(CLOCK_SKEW)


async def closing(client: Client) -> int:
    """Return the code that the client is closed with, past what comes before."""
    while True:
        event = await client.event()
        if event["type"] == "websocket.close":
            code: int = event["code"]
            return code


async def comes_back(headers: dict[str, str], note: str) -> str:
    """Come back with a note; return the next one, or "" if it counts no more.

    The session may be read while the client is connected: it is closed with 4002 then.
    """
    async with Client(headers=headers) as client:
        await client.send(1, connect={"note": note})
        answer = await left_open(client)
        if answer and answer["connected"]["resumed"]:
            await client.send(90, note={})
            if answer := await left_open(client):
                fresh: str = answer["note"]["note"]
                return fresh
        elif answer:
            await client.send(2, connect={})
            if answer := await left_open(client):
                assert answer["connected"]["user"] is None
        return ""


async def left_open(client: Client) -> dict[str, Any]:
    """Return the next message, or {} if the client is closed with 4002."""
    event = await client.event()
    if event["type"] == "websocket.close":
        assert event["code"] == 4002
        return {}
    message: dict[str, Any] = json.loads(event["text"])
    return message


async def note_of(client: Client) -> str:
    """Ask for a note."""
    note: str = (await client.ask(90, note={}))["note"]["note"]
    return note


class TestSigningOut:
    """Connections end with what signed them in."""

    async def test_disconnect_ends_all_of_a_user(self, people: tuple[User, User]) -> None:
        """Session and token alike are closed with 4002; others' connections and nobody's stay."""
        ada, eve = people
        async with (
            Client(headers=await cookie(ada)) as laptop,
            Client() as phone,
            Client(headers=await cookie(eve)) as other,
            Client() as nobody,
        ):
            await laptop.ask(1, connect={})
            await phone.ask(1, connect={"token": issue_token(ada)})
            await other.ask(1, connect={})
            began = time.monotonic()
            await adisconnect(ada)
            assert await closing(laptop) == 4002
            assert await closing(phone) == 4002
            assert time.monotonic() - began < 5  # within a second, on a machine that is not busy
            assert (await other.ask(2, connect={}))["connected"]["user"] == "eve"
            assert (await nobody.ask(2, connect={}))["connected"]["user"] is None

    async def test_tokens_of_before_sign_in_no_more(self, people: tuple[User, User]) -> None:
        """A token is refused whose bearer was signed out after it was issued; a new one is not."""
        ada, _ = people
        async with Client() as client:
            await client.ask(1, connect={"token": issue_token(ada)})  # so that the log is read
        old = issue_token(ada)
        await adisconnect(ada)
        async with Client() as client:
            answer = await client.ask(1, connect={"token": old})
            assert answer["error"]["code"] == "bad_token"
            answer = await client.ask(2, connect={"token": issue_token(ada)})
            assert answer["connected"]["user"] == "ada"

    async def test_signing_out_in_the_browser_ends_that_session(
        self, people: tuple[User, User]
    ) -> None:
        """The signal does it: of two sessions, the one that was signed out."""
        ada, _ = people

        def signed_in() -> Browser:
            browser = Browser()
            browser.force_login(ada)
            return browser

        home, work = [await database_sync_to_async(signed_in)() for _ in range(2)]
        cookies = [
            {"Cookie": browser.cookies.output(header="", sep=";")} for browser in (home, work)
        ]
        async with Client(headers=cookies[0]) as left, Client(headers=cookies[1]) as stays:
            for client in (left, stays):
                assert (await client.ask(1, connect={}))["connected"]["user"] == "ada"
            await database_sync_to_async(home.logout)()
            assert await closing(left) == 4002
            assert (await stays.ask(2, connect={}))["connected"]["user"] == "ada"

    async def test_middlewares_session_counts(self, people: tuple[User, User]) -> None:
        """Behind AuthMiddlewareStack, too: the session in the scope is the one that is ended."""
        ada, _ = people
        browser = Browser()
        await database_sync_to_async(browser.force_login)(ada)
        key = browser.cookies[django_settings.SESSION_COOKIE_NAME].value
        more = {"user": ada, "session": SessionStore(key)}
        async with Client(more=more) as client, Client(more={"user": ada}) as other:
            await past_the_skew()
            assert (await client.ask(1, connect={}))["connected"]["user"] == "ada"
            note = await note_of(client)
            await database_sync_to_async(browser.logout)()
            assert await closing(client) == 4002
            assert (await other.ask(1, connect={}))["connected"]["user"] == "ada"
            assert not (await other.ask(2, connect={"note": note}))["connected"]["resumed"]

    @pytest.mark.parametrize("how", ["password", "inactive", "deleted"])
    async def test_change_of_a_user_signs_out(self, people: tuple[User, User], how: str) -> None:
        """A new password, a deactivation and a deletion end all connections, by signals."""
        ada, _ = people

        def change() -> None:
            if how == "password":
                ada.set_password("y")
                ada.save()
            elif how == "inactive":
                ada.is_active = False
                ada.save(update_fields=["is_active"])
            else:
                ada.delete()

        async with Client(headers=await cookie(ada)) as client:
            await client.ask(1, connect={})
            await database_sync_to_async(change)()
            assert await closing(client) == 4002

    async def test_other_changes_sign_nobody_out(self, people: tuple[User, User]) -> None:
        """A user who is saved with the same password and still active stays connected."""
        ada, _ = people
        async with Client(headers=await cookie(ada)) as client:
            await client.ask(1, connect={})
            ada.first_name = "Ada"
            await ada.asave()
            ada.set_password("y")
            await ada.asave(update_fields=["last_login"])
            await adisconnect(10_000)
            assert (await client.ask(2, connect={}))["connected"]["user"] == "ada"

    async def test_session_that_is_gone_is_noticed(
        self, people: tuple[User, User], settings: Settings
    ) -> None:
        """Whatever ended a session: it is read again now and then."""
        settings.REALTIME = RULES | {"SESSION_RECHECK": 1}
        ada, _ = people
        async with Client(headers=await cookie(ada)) as client:
            await client.ask(1, connect={})
            await Session.objects.all().adelete()
            assert await closing(client) == 4002

    async def test_session_that_stands_is_kept(
        self, people: tuple[User, User], settings: Settings, queries: Queries
    ) -> None:
        """Reading it again changes nothing, and it is read more than once."""
        settings.REALTIME = RULES | {"SESSION_RECHECK": 1}
        ada, _ = people
        async with Client(headers=await cookie(ada)) as client:
            await client.ask(1, connect={})
            queries.seen.clear()
            await until(lambda: sum("django_session" in query for query in queries.seen) >= 2)
            assert (await client.ask(2, connect={}))["connected"]["user"] == "ada"

    async def test_note_does_not_put_it_off(
        self, people: tuple[User, User], settings: Settings
    ) -> None:
        """Who comes back with notes again and again has the session read in the end."""
        settings.REALTIME = RULES | {"SESSION_RECHECK": 2}
        ada, _ = people
        headers = await cookie(ada)
        async with Client(headers=headers) as client:
            await past_the_skew()
            await client.ask(1, connect={})
            note = await note_of(client)
        await Session.objects.all().adelete()
        resumed = 0
        async with asyncio.timeout(PATIENCE):
            while note := await comes_back(headers, note):
                resumed += 1
        assert resumed > 1

    async def test_signing_in_again_costs_as_much_as_its_rooms(
        self, people: tuple[User, User], settings: Settings
    ) -> None:
        """Each room's rule is asked, so each counts as a command."""
        settings.REALTIME = RULES | {"MAX_CLIENT_COMMANDS": 1, "MAX_ROOMS_PER_CLIENT": 10}
        ada, _ = people
        async with Client() as client:
            token = issue_token(ada)
            await client.ask(1, connect={"token": token})
            await client.ask(2, subscribe=[{"room": f"orders.{n}"} for n in range(10)])
            for number in range(3, 20):
                await client.send(number, connect={"token": token})
            assert await closing(client) == 4010


class TestUnsubscribing:
    """Putting a user out of a room."""

    async def test_leaves_the_room_and_is_told(
        self, people: tuple[User, User], memory_layer: ShardedChannelLayer
    ) -> None:
        """What is published afterwards does not come; the other rooms and the connection stay."""
        ada, _ = people
        async with Client(headers=await cookie(ada)) as client:
            await client.ask(1, subscribe=[{"room": "orders"}, {"room": "news"}])
            await aunsubscribe(ada, "orders")
            push = await client.receive()
            assert push == {"room": "orders", "unsubscribed": {"code": "forbidden"}}
            await memory_layer.publish("orders", b"1")
            await memory_layer.publish("news", b"2")
            assert (await client.receive())["room"] == "news"
            answer = await client.ask(2, unsubscribe={"room": "orders"})
            assert answer["error"]["code"] == "not_subscribed"

    async def test_token_opens_it_no_more(self, people: tuple[User, User]) -> None:
        """A room that a token opened is closed to it; one that is issued later opens it."""
        _, eve = people
        async with Client() as client:
            await client.ask(1, connect={"token": issue_token(eve, rooms=["orders"])})
            assert "subscribed" in await client.ask(2, subscribe={"room": "orders"})
            await aunsubscribe(eve, "orders")
            assert "unsubscribed" in await client.receive()
            answer = await client.ask(3, subscribe={"room": "orders"})
            assert answer["error"]["code"] == "forbidden"
            await client.ask(4, connect={"token": issue_token(eve, rooms=["orders"])})
            assert "subscribed" in await client.ask(5, subscribe={"room": "orders"})

    @pytest.mark.parametrize("room", sorted(OWN_ROOMS))
    async def test_nobody_gets_into_the_log(self, people: tuple[User, User], room: str) -> None:
        """The rooms that workers tell each other in are no client's, whatever a token opens."""
        ada, _ = people
        async with Client() as client:
            await client.ask(1, connect={"token": issue_token(ada, rooms=["*"])})
            commands: list[dict[str, Any]] = [
                {"subscribe": {"room": room}},
                {"history": {"room": room}},
                {"publish": {"room": room, "data": {"at": 1, "user": "7"}}},
            ]
            for number, command in enumerate(commands, start=2):
                answer = await client.ask(number, **command)
                assert answer["error"]["code"] == "forbidden", command


class TestExpiry:
    """A token that has run out."""

    async def test_asks_to_renew_and_closes(
        self, people: tuple[User, User], settings: Settings
    ) -> None:
        """The client is asked, keeps its rooms meanwhile, and is closed with 4001 in the end."""
        settings.REALTIME = RULES | {"EXPIRY_GRACE": 3}
        ada, _ = people
        async with Client() as client:
            await client.ask(1, connect={"token": issue_token(ada, expires=3)})
            assert await client.receive() == {"renew": {"within": 3}}
            assert "subscribed" in await client.ask(2, subscribe={"room": "orders"})
            assert await closing(client) == 4001

    async def test_renewed_in_time_it_goes_on(
        self, people: tuple[User, User], settings: Settings
    ) -> None:
        """A new token within the grace keeps the connection."""
        settings.REALTIME = RULES | {"EXPIRY_GRACE": 3}
        ada, _ = people
        async with Client() as client:
            await client.ask(1, connect={"token": issue_token(ada, expires=3)})
            assert "renew" in await client.receive()
            await client.ask(2, connect={"token": issue_token(ada, expires=4)})  # past the grace
            assert "renew" in await client.receive()  # of the second one

    async def test_who_becomes_another_loses_the_rooms_of_the_first(
        self, people: tuple[User, User]
    ) -> None:
        """Each room's rule is asked about the new user."""
        ada, eve = people
        async with Client() as client:
            await client.ask(1, connect={"token": issue_token(ada)})
            await client.ask(2, subscribe=[{"room": "orders"}, {"room": "news"}])
            await client.send(3, connect={"token": issue_token(eve, rooms=["news"])})
            assert "unsubscribed" in (push := await client.receive())
            assert push["room"] == "orders"
            assert (await client.receive())["connected"]["user"] == "eve"


class TestHandshake:
    """A token as a subprotocol."""

    async def connected(self, client: Client) -> dict[str, Any]:
        """Begin, and return the event that accepts the client."""
        await client.begin()
        return await client.event()

    async def test_signs_in_before_the_urls_rooms(self, people: tuple[User, User]) -> None:
        """The rooms of the address are joined as the token's user; the token is not echoed."""
        _, eve = people
        token = issue_token(eve, rooms=["orders"])
        client = Client("room=orders", more=offering(token))
        assert await self.connected(client) == {
            "type": "websocket.accept",
            "subprotocol": "shardlayer",
        }
        assert (await client.receive())["subscribed"][0]["room"] == "orders"
        await client.leave()

    @pytest.mark.parametrize("token", ["", "x", "a:b:c"])
    async def test_bad_token_is_said_and_closed(
        self, people: tuple[User, User], token: str
    ) -> None:
        """Nobody is let into a room as somebody else than they say."""
        client = Client("room=orders", more=offering(token))
        await self.connected(client)
        answer = await client.receive()
        assert (answer["id"], answer["error"]["code"]) == (0, "bad_token")
        assert await closing(client) == 4001
        await client.leave()

    @pytest.mark.parametrize("name", ["shardlayer-token.%%%", "shardlayer-token.w6Q", "graphql"])
    async def test_other_subprotocols(self, people: tuple[User, User], name: str) -> None:
        """What can't be decoded is no token; what is none of ours is not taken."""
        client = Client("room=orders", more={"subprotocols": [name]})
        assert await self.connected(client) == {"type": "websocket.accept"}
        answer = await client.receive()
        assert ("error" in answer) is (name != "graphql")
        await client.leave()


class TestNotes:
    """Coming back."""

    async def test_storm_costs_the_database_nothing(
        self, people: tuple[User, User], queries: Queries
    ) -> None:
        """2,000 clients, half by session and half by token, come back without one query or rule."""
        ada, _ = people
        headers = await cookie(ada)
        rooms = [{"room": f"orders.{number}"} for number in range(3)]
        token = issue_token(ada)
        async with Client(headers=headers) as one, Client() as other:
            await past_the_skew()
            await one.ask(1, connect={})
            await other.ask(1, connect={"token": token})
            await one.ask(2, subscribe=rooms)
            await other.ask(2, subscribe=rooms)
            by_session, by_token = await note_of(one), await note_of(other)
        queries.seen.clear()
        asked.clear()

        async def come_back(number: int) -> None:
            note = by_session if number % 2 else by_token
            async with Client(headers=headers if number % 2 else {}) as client:
                answer = (await client.ask(1, connect={"note": note}))["connected"]
                assert (answer["resumed"], answer["user"]) == (True, "ada")
                answers = (await client.ask(2, subscribe=rooms))["subscribed"]
                assert all("error" not in answer for answer in answers)

        for start in range(0, 2_000, 200):
            await asyncio.gather(*map(come_back, range(start, start + 200)))
        assert queries.seen == []
        assert asked == []

    async def test_who_becomes_another_by_a_note_loses_the_rooms_of_the_first(
        self, people: tuple[User, User]
    ) -> None:
        """Each room's rule is asked about the note's user, as it is with a token."""
        ada, eve = people
        async with Client() as client:
            await client.ask(1, connect={"token": issue_token(eve)})
            await past_the_skew()
            await client.ask(1, connect={"token": issue_token(eve)})
            note = await note_of(client)
        async with Client() as client:
            await client.ask(1, connect={"token": issue_token(ada)})
            assert "subscribed" in await client.ask(2, subscribe={"room": "orders"})
            await client.send(3, connect={"note": note})
            assert (await client.receive())["room"] == "orders"
            assert (await client.receive())["connected"]["user"] == "eve"

    async def test_other_rooms_are_asked_about(self, people: tuple[User, User]) -> None:
        """A note opens the rooms that it names, and no other; nor does it open publishing."""
        ada, _ = people
        headers = await cookie(ada)
        async with Client(headers=headers) as client:
            await past_the_skew()
            await client.ask(1, subscribe={"room": "orders"})
            note = await note_of(client)
        async with Client(headers=headers) as client:
            asked.clear()
            await client.ask(1, connect={"note": note})
            await client.ask(2, subscribe={"room": "orders"})
            assert asked == []
            await client.ask(3, subscribe={"room": "news"})
            assert asked == ["news"]

    async def test_replayed_after_a_disconnect_it_counts_no_more(
        self, people: tuple[User, User]
    ) -> None:
        """Who was signed out comes back as whom the session says, and is asked about every room."""
        ada, _ = people
        async with Client() as client:
            await past_the_skew()
            await client.ask(1, connect={"token": issue_token(ada)})
            await client.ask(2, subscribe={"room": "orders"})
            note = await note_of(client)
            await adisconnect(ada)
            assert await closing(client) == 4002
        async with Client() as client:
            answer = (await client.ask(1, connect={"note": note}))["connected"]
            assert (answer["resumed"], answer["user"]) == (False, None)
            answer = await client.ask(2, subscribe={"room": "orders"})
            assert answer["error"]["code"] == "forbidden"

    async def test_room_that_was_taken_away_is_not_in_it(self, people: tuple[User, User]) -> None:
        """Unsubscribed from meanwhile, a room is asked about again."""
        ada, _ = people
        async with Client() as client:
            await past_the_skew()
            await client.ask(1, connect={"token": issue_token(ada)})
            await client.ask(2, subscribe=[{"room": "orders"}, {"room": "news"}])
            note = await note_of(client)
            await aunsubscribe(ada, "orders")
            await client.receive()
        async with Client() as client:
            asked.clear()
            assert (await client.ask(1, connect={"note": note}))["connected"]["resumed"]
            await client.ask(2, subscribe=[{"room": "orders"}, {"room": "news"}])
            assert asked == ["orders"]

    async def test_note_of_a_session_is_nothing_without_it(self, people: tuple[User, User]) -> None:
        """Whoever stole it, with no cookie or another's, gains nothing."""
        ada, eve = people
        async with Client(headers=await cookie(ada)) as client:
            await past_the_skew()
            await client.ask(1, subscribe={"room": "orders"})
            note = await note_of(client)
        for headers, user in (({}, None), (await cookie(eve), "eve")):
            async with Client(headers=headers) as client:
                answer = (await client.ask(1, connect={"note": note}))["connected"]
                assert (answer["resumed"], answer["user"]) == (False, None)  # nobody looked
                assert (await client.ask(3, connect={}))["connected"]["user"] == user
                answer = await client.ask(2, subscribe={"room": "orders"})
                assert answer["error"]["code"] == "forbidden"

    async def test_note_of_a_session_ends_with_it(self, people: tuple[User, User]) -> None:
        """Signing out of the session takes its notes back, though the cookie is still sent."""
        ada, _ = people
        browser = Browser()
        await database_sync_to_async(browser.force_login)(ada)
        headers = {"Cookie": browser.cookies.output(header="", sep=";")}
        async with Client(headers=headers) as client:
            await past_the_skew()
            await client.ask(1, connect={})
            note = await note_of(client)
            await database_sync_to_async(browser.logout)()
            assert await closing(client) == 4002
        async with Client(headers=headers) as client:
            answer = (await client.ask(1, connect={"note": note}))["connected"]
            assert (answer["resumed"], answer["user"]) == (False, None)

    async def test_expired_token_is_not_renewed_by_a_note(self, people: tuple[User, User]) -> None:
        """A note lets nobody stay longer than what signed them in."""
        ada, _ = people
        async with Client() as client:
            await past_the_skew()
            await client.ask(1, connect={"token": issue_token(ada, expires=4)})
            note = await note_of(client)
            assert "renew" in await client.receive()
        async with Client() as client:
            answer = (await client.ask(1, connect={"note": note}))["connected"]
            assert (answer["resumed"], answer["user"]) == (False, None)

    async def test_token_counts_where_the_note_does_not(self, people: tuple[User, User]) -> None:
        """Both may be sent; who is resumed is not asked for the token."""
        ada, _ = people
        async with Client() as client:
            answer = await client.ask(1, connect={"note": "x", "token": issue_token(ada)})
            assert answer["connected"]["resumed"] is False
            assert answer["connected"]["user"] == "ada"
            await past_the_skew()
            await client.ask(2, connect={"token": issue_token(ada)})
            note = await note_of(client)
        async with Client() as client:
            answer = await client.ask(1, connect={"note": note, "token": "x"})
            assert answer["connected"]["user"] == "ada"

    async def test_nobody_has_a_note_too(
        self, people: tuple[User, User], settings: Settings
    ) -> None:
        """Of a client that is not signed in it says the rooms; no user is asked for."""
        async with Client() as client:
            note = await note_of(client)
        async with Client() as client:
            answer = (await client.ask(1, connect={"note": note}))["connected"]
            assert (answer["resumed"], answer["user"]) == (True, None)

    async def test_room_of_a_token_is_its_bearers(
        self, people: tuple[User, User], queries: Queries
    ) -> None:
        """A room that a page's token opened: the note counts with that session, until it ends."""
        _, eve = people
        browser = Browser()
        await database_sync_to_async(browser.force_login)(eve)
        headers = {"Cookie": browser.cookies.output(header="", sep=";")}
        key = browser.cookies[django_settings.SESSION_COOKIE_NAME].value
        async with Client() as client:
            await client.ask(1, connect={"token": issue_token(eve)})  # so that the log is read
        await past_the_skew()
        token = sign_room("orders", eve, session_key=key)
        queries.seen.clear()
        async with Client(headers=headers) as client:
            await client.ask(1, subscribe={"room": "orders", "token": token})
            note = await note_of(client)
        async with Client(headers=headers) as client:
            await client.send(1, connect={"note": note})
            assert "subscribed" in await self.after(client, 2, subscribe={"room": "orders"})
            assert queries.seen == []
            await database_sync_to_async(browser.logout)()
            assert await closing(client) == 4002
        for more in (headers, {}):
            async with Client(headers=more) as client:
                await client.send(1, connect={"note": note})
                answer = await self.after(client, 2, subscribe={"room": "orders"})
                assert answer["error"]["code"] == "forbidden"

    @staticmethod
    async def after(client: Client, id: int, **command: Any) -> dict[str, Any]:
        """Ask something, and return its answer past what comes before it."""
        answer = await client.ask(id, **command)
        while answer.get("id") != id:
            answer = await client.receive()
        return answer

    async def test_changed_rules_are_asked(
        self, people: tuple[User, User], settings: Settings
    ) -> None:
        """What the settings allowed when it was written must not come back after a deploy."""
        ada, _ = people
        headers = await cookie(ada)
        async with Client(headers=headers) as client:
            await past_the_skew()
            await client.ask(1, subscribe={"room": "orders"})
            note = await note_of(client)
        settings.REALTIME = {"ROOMS": {"news": {"subscribe": "nobody"}, **RULES["ROOMS"]}}
        async with Client(headers=headers) as client:
            asked.clear()
            assert (await client.ask(1, connect={"note": note}))["connected"]["resumed"]
            await client.ask(2, subscribe={"room": "orders"})
            assert asked == ["orders"]

    async def test_is_bounded(self, people: tuple[User, User], settings: Settings) -> None:
        """However many rooms: those that find no place are asked about again."""
        settings.REALTIME = {
            "ROOMS": {"*": {"subscribe": "anyone"}},
            "MAX_ROOMS_PER_CLIENT": 400,
            "MAX_CLIENT_NEW_ROOMS": 0,
            "MAX_ROOMS_PER_FRAME": 0,
        }
        async with Client() as client:
            rooms = [{"room": f"{'x' * 90}.{number}"} for number in range(400)]
            await client.ask(1, subscribe=rooms)
            note = await note_of(client)
            assert MAX_NOTE * 0.9 < len(note) <= MAX_NOTE
            assert 100 < len(read_note(note).rooms) < 400

    async def test_none_without_a_ttl(self, people: tuple[User, User], settings: Settings) -> None:
        """RESUME_TTL 0 gives no notes, and takes none."""
        ada, _ = people
        async with Client(headers=await cookie(ada)) as client:
            note = await note_of(client)
        settings.REALTIME = RULES | {"RESUME_TTL": 0}
        async with Client() as client:
            assert await client.ask(1, note={}) == {"id": 1, "note": {"note": None, "renew": 0}}
            assert not (await client.ask(2, connect={"note": note}))["connected"]["resumed"]

    async def test_rubbish_is_no_note(self, people: tuple[User, User]) -> None:
        """Whatever a stranger sends is answered, and signs nobody in."""
        payload = {"i": time.time(), "m": "token", "f": "", "u": "1", "r": ["orders"]}
        notes = [
            "", "x", "a:b:c", "a" * (MAX_NOTE + 1), "a" * 60_000, "\ud800",
            signing.dumps(payload, salt="realtime.token"),
            signing.dumps(payload, salt="realtime.note", key="another key"),
            signing.dumps({**payload, "i": time.time() + 1_000}, salt="realtime.note"),
            signing.dumps([], salt="realtime.note"),
            signing.dumps({}, salt="realtime.note"),
        ]  # fmt: skip
        before = counters.notes_refused
        async with Client() as client:
            for number, note in enumerate(notes, start=1):
                await client.send_text(json.dumps({"id": number, "connect": {"note": note}}))
                answer = await client.receive()
                if note == "\ud800":
                    assert answer["error"]["code"] == "bad_json"
                else:
                    assert answer["connected"]["resumed"] is False, note
        assert counters.notes_refused == before + len(notes) - 1

    async def test_secret_key_can_be_rotated(
        self, people: tuple[User, User], settings: Settings
    ) -> None:
        """A note of the former key counts as long as that is among SECRET_KEY_FALLBACKS."""
        ada, _ = people
        async with Client() as client:
            await past_the_skew()
            await client.ask(1, connect={"token": issue_token(ada)})
            note = await note_of(client)
        former, settings.SECRET_KEY = settings.SECRET_KEY, "another key, for all that is signed"
        async with Client() as client:
            assert not (await client.ask(1, connect={"note": note}))["connected"]["resumed"]
            settings.SECRET_KEY_FALLBACKS = [former]
            assert (await client.ask(2, connect={"note": note}))["connected"]["user"] == "ada"
