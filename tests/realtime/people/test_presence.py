"""Who is in a room, as clients and programs see it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import AnonymousUser, User
from pytest_django import Settings

from realtime import (
    apresence,
    apresence_stats,
    presence,
    presence_stats,
    room_occupied,
    room_vacated,
)
from realtime.access.users import user_room
from realtime.clients.client_counters import counters
from realtime.people.persons import person_of, user_key_of
from realtime.tokens import issue_token
from shardlayer import Attendee, ShardedChannelLayer
from tests.realtime.client import Client
from tests.realtime.people import project
from tests.realtime.users import end_queries
from tests.waiting import until

ROOMS = {
    "quiet.*": {"subscribe": "anyone", "presence": "nobody"},
    "secret.*": {"subscribe": "anyone", "presence": "staff"},
    "*": {"subscribe": "anyone", "presence": "anyone", "presence_events": True},
}
PROJECT = "tests.realtime.people.project"

pytestmark = pytest.mark.usefixtures("memory_layer")


@pytest.fixture(autouse=True)
def rooms(settings: Settings) -> None:
    """Rooms that know who is there, and some that do not."""
    configure(settings)


def configure(settings: Settings, **more: Any) -> None:
    settings.REALTIME = {"ROOMS": ROOMS, **more}


@pytest.fixture
def people(transactional_db: None, settings: Settings) -> Iterator[tuple[User, User]]:
    """Ada and Grace; passwords take no time to hash."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    yield (
        User.objects.create_user("ada", password="x", pk=7),
        User.objects.create_user("grace", password="x", pk=8),
    )
    end_queries()


async def arrive(client: Client, room: str = "lobby", user: User | None = None) -> None:
    """Sign in and join."""
    if user is not None:
        await client.ask(1, connect={"token": issue_token(user)})
    await client.send(2, subscribe={"room": room})
    while (await client.receive()).get("id") != 2:
        pass


async def answer(client: Client, id: int, **command: Any) -> dict[str, Any]:
    """Return the answer to a command, past what is pushed before it."""
    await client.send(id, **command)
    while True:
        message = await client.receive()
        if message.get("id") == id:
            return message


async def pushed(client: Client, **expected: Any) -> dict[str, Any]:
    """Wait for a push that says this of who is there."""
    while True:
        said: dict[str, Any] = (await client.receive()).get("presence", {})
        if expected.items() <= said.items():
            return said


class TestAsking:
    """The command, and its like in Python."""

    async def test_who_asks_finds_itself(self, people: tuple[User, User]) -> None:
        """At once, and each device of a user as one person."""
        ada, grace = people
        async with Client() as first, Client() as second, Client() as third:
            await arrive(first, user=ada)
            await arrive(second, user=ada)
            found = (await answer(second, 3, presence={"room": "lobby"}))["presence"]
            assert found == {
                "room": "lobby",
                "people": 1,
                "connections": 2,
                "persons": [{"person": str(ada.pk), "connections": 2}],
            }
            await arrive(third, user=grace)
            here = await apresence("lobby")
            assert [person.user for person in here.persons] == [str(ada.pk), str(grace.pk)]
            assert (here.people, here.connections, here.next) == (2, 3, None)
            assert await sync_to_async(presence, thread_sensitive=False)("lobby") == here
        stats = await apresence_stats("lobby")
        assert (stats.people, stats.connections) == (0, 0)
        assert await sync_to_async(presence_stats, thread_sensitive=False)("lobby") == stats

    async def test_nobody_knows_who_they_are(self) -> None:
        """Each connection that nobody is signed in on is a person of its own."""
        async with Client() as first, Client() as second:
            await arrive(first)
            await arrive(second)
            here = await apresence("lobby")
            assert here.people == here.connections == 2
            assert [person.user for person in here.persons] == [None, None]
            assert all(person.person.startswith("~") for person in here.persons)

    async def test_pages(self, settings: Settings) -> None:
        """From one person to the next; the server's own limit counts for clients."""
        configure(settings, MAX_CLIENT_PRESENCE=2)
        async with Client() as a, Client() as b, Client() as c:
            for client in (a, b, c):
                await arrive(client)
            page = (await answer(c, 3, presence={"room": "lobby", "limit": 9}))["presence"]
            assert (page["people"], len(page["persons"]), page["more"]) == (3, 2, True)
            after = page["persons"][-1]["person"]
            rest = (await answer(c, 4, presence={"room": "lobby", "after": after}))["presence"]
            assert len(rest["persons"]) == 1
            assert "more" not in rest
            counts = (await answer(c, 5, presence={"room": "lobby", "limit": 0}))["presence"]
            assert counts == {"room": "lobby", "people": 3, "connections": 3, "persons": []}
            here = await apresence("lobby", limit=2)
            assert here.next == here.persons[-1].person
            assert len((await apresence("lobby", limit=2, after=here.next)).persons) == 1

    async def test_who_may_ask(self, people: tuple[User, User]) -> None:
        """By the rule `presence`; without one nobody may, and nobody is known to be there."""
        ada, _ = people
        async with Client() as client:
            await arrive(client, "secret.1", ada)
            await arrive(client, "quiet.1")
            before = counters.forbidden
            for number, room in enumerate(("secret.1", "quiet.1"), 3):
                error = (await answer(client, number, presence={"room": room}))["error"]
                assert error["code"] == "forbidden"
            assert counters.forbidden == before + 2
            assert (await apresence_stats("secret.1")).people == 1  # the server may
            assert (await apresence_stats("quiet.1")).people == 0

    @pytest.mark.parametrize(
        "body",
        [
            {"room": "lobby", "limit": -1},
            {"room": "lobby", "limit": "9"},
            {"room": "lobby", "after": 5},
            {"room": "lobby", "after": "x" * 256},
            {"room": "lobby", "after": "a\0"},
            "lobby",
        ],
    )
    async def test_what_can_not_be_asked(self, body: object) -> None:
        """It is a bad request."""
        async with Client() as client:
            assert (await answer(client, 3, presence=body))["error"]["code"] == "bad_request"

    async def test_an_answer_has_a_limit(self, settings: Settings) -> None:
        """In bytes; the rest is left for another command."""
        configure(settings, PRESENCE_INFO=f"{PROJECT}.info", MAX_CLIENT_ANSWER=400)
        clients = [Client() for _ in range(12)]
        for client in clients:
            await client.__aenter__()
            await arrive(client)
        before = counters.presence_cut
        page = (await answer(clients[0], 3, presence={"room": "lobby"}))["presence"]
        assert page["people"] == 12
        assert 1 <= len(page["persons"]) < 12
        assert page["more"] is True
        assert counters.presence_cut == before + 1
        for client in clients:
            await client.leave()

    async def test_a_users_own_room(self, people: tuple[User, User], settings: Settings) -> None:
        """Whether a user is there at all, where a setting says that it be known."""
        ada, _ = people
        room = user_room(ada)
        async with Client() as client:
            await arrive(client, room, ada)
            assert (await apresence_stats(room)).connections == 0
        configure(settings, USER_ROOM_PRESENCE=True)
        async with Client() as client, Client() as other:
            await arrive(client, room, ada)
            assert (await apresence_stats(room)).connections == 1
            found = (await answer(client, 3, presence={"room": room}))["presence"]
            assert found["connections"] == 1
            refused = await answer(other, 3, presence={"room": room})
            assert refused["error"]["code"] == "forbidden"


class TestTelling:
    """What the members of a room are told."""

    async def test_members_are_told(self, people: tuple[User, User], settings: Settings) -> None:
        """Who came, with what they carry, and who went; of a user once, however many devices."""
        configure(settings, PRESENCE_INFO=f"{PROJECT}.info")
        ada, grace = people
        async with Client() as client:
            await arrive(client, user=ada)
            await pushed(client, people=1)
            async with Client() as other, Client() as second:
                await arrive(other, user=grace)
                said = await pushed(client, people=2)
                came = {"person": str(grace.pk), "info": {"room": "lobby"}}
                assert said == {"people": 2, "came": [came], "went": []}
                await arrive(second, user=grace)
                await second.leave()
                await answer(other, 5, unsubscribe={"room": "lobby"})
                said = await pushed(client, people=1)
                assert said == {"people": 1, "came": [], "went": [str(grace.pk)]}
                await other.leave()
                await other.__aenter__()
                await second.__aenter__()

    async def test_who_signs_in_is_somebody_else(self, people: tuple[User, User]) -> None:
        """In the rooms that it has joined before."""
        ada, _ = people
        async with Client() as client:
            await arrive(client)
            assert [person.user for person in (await apresence("lobby")).persons] == [None]
            await answer(client, 3, connect={"token": issue_token(ada)})
            assert [person.user for person in (await apresence("lobby")).persons] == [str(ada.pk)]

    async def test_who_can_not_be_named_is_in_the_room_all_the_same(
        self, memory_layer: ShardedChannelLayer, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Unseen: that is logged and counted."""
        before = counters.presence_failed
        async with Client(more={"user": User(pk="x" * 300)}) as client:
            await arrive(client)
            assert (await apresence_stats("lobby")).people == 0
            await memory_layer.publish("lobby", b"1")
            assert (await client.receive())["data"] == 1
        assert counters.presence_failed == before + 1
        assert "The presence of lobby lacks a client that is in it" in caplog.text

    async def test_rooms_that_know_nobody_cost_nothing(
        self, memory_layer: ShardedChannelLayer
    ) -> None:
        """No call is made for them."""
        async with Client() as client:
            await arrive(client, "quiet.1")
            assert memory_layer.stats()["presence_connections"] == 0
        assert memory_layer.stats()["presence_told"] == 0


class TestProject:
    """What the project says of people."""

    async def test_names_come_with_one_call(
        self, people: tuple[User, User], settings: Settings
    ) -> None:
        """For all users of an answer; nobody asks for those who are not signed in."""
        configure(settings, PRESENCE_FETCH=f"{PROJECT}.fetch")
        ada, grace = people
        async with Client() as first, Client() as second, Client() as third:
            await arrive(first, user=ada)
            await arrive(second, user=grace)
            await arrive(third)
            project.asked.clear()
            found = (await answer(third, 3, presence={"room": "lobby"}))["presence"]["persons"]
            assert project.asked == [[str(ada.pk), str(grace.pk)]]
            assert [person.get("fields") for person in found] == [
                {"name": "ada"},
                {"name": "grace"},
                None,
            ]
            here = await apresence("lobby")
            assert [person.fields for person in here.persons][:2] == [
                {"name": "ada"},
                {"name": "grace"},
            ]
            configure(settings, PRESENCE_FETCH=f"{PROJECT}.broken_fetch")
            before = counters.presence_fetches_failed
            assert (await apresence("lobby")).persons[0].fields is None
            assert counters.presence_fetches_failed == before + 1

    async def test_what_a_client_carries(
        self, settings: Settings, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A rule of the server says it; too much, or an error, is none."""
        configure(settings, PRESENCE_INFO=f"{PROJECT}.info")
        before = counters.presence_infos_failed
        async with Client() as client:
            for room in ("lobby", "broken", "long"):
                await arrive(client, room)
            infos = [
                (await apresence(room)).persons[0].infos for room in ("lobby", "broken", "long")
            ]
            assert infos == [[{"room": "lobby"}], [], []]
        assert counters.presence_infos_failed == before + 2
        said = [record for record in caplog.records if record.levelno == logging.ERROR]
        assert len(said) == 2
        configure(settings, PRESENCE_INFO=f"{PROJECT}.info", MAX_PRESENCE_INFO=0)
        async with Client() as client:
            await arrive(client)
            assert (await apresence("lobby")).persons[0].infos == []

    async def test_signals(self, caplog: pytest.LogCaptureFixture) -> None:
        """With the first person and the last one; what a receiver raises is logged."""
        turns: list[tuple[str, str]] = []

        def on_occupied(room: str, **_: Any) -> None:
            turns.append(("occupied", room))
            raise RuntimeError("no feed today")

        async def on_vacated(room: str, **_: Any) -> None:
            turns.append(("vacated", room))

        room_occupied.connect(on_occupied)
        room_vacated.connect(on_vacated)
        async with Client() as first, Client() as second:
            await arrive(first)
            await until(lambda: turns == [("occupied", "lobby")])
            await arrive(second)
            await apresence_stats("lobby")
            await answer(first, 3, unsubscribe={"room": "lobby"})
            await apresence_stats("lobby")
            assert turns == [("occupied", "lobby")]
        await until(lambda: turns == [("occupied", "lobby"), ("vacated", "lobby")])
        await until(lambda: "no feed today" in caplog.text)
        room_occupied.disconnect(on_occupied)
        room_vacated.disconnect(on_vacated)


class TestNames:
    """What people are called."""

    @pytest.mark.parametrize("key", ["7", "a b", "~odd", "~~odder", "é"])
    def test_users_and_others_never_share_a_name(self, key: str) -> None:
        """A user's name is the primary key, and can be read back."""
        assert user_key_of(person_of(User(pk=key), "node", "1")) == key

    def test_nobody(self) -> None:
        """Who is not signed in has no key."""
        person = person_of(AnonymousUser(), "node", "1")
        assert user_key_of(person) is None


async def test_a_dead_worker_is_found_by_who_asks(memory_layer: ShardedChannelLayer) -> None:
    """And its rooms are vacated."""
    turns: list[str] = []

    def on_vacated(room: str, **_: Any) -> None:
        turns.append(room)

    room_vacated.connect(on_vacated)
    dying = ShardedChannelLayer(hosts=memory_layer.options.hosts, lease_ttl=0.3)
    node = await dying.node()
    node.presence.come(Attendee("feed", "7", "1"))
    await node.presence.settled("feed")
    await node._leases.aclose()
    await node.presence.attendance._tasks.aclose()
    node.presence.attendance._is_closed = True

    async def empty() -> bool:
        return (await apresence_stats("feed")).people == 0

    await until(empty)
    await until(lambda: turns == ["feed"])
    room_vacated.disconnect(on_vacated)
    await asyncio.wait_for(dying.close(), 10)
