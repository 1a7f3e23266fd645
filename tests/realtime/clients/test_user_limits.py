"""What all connections of a user may do together."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

import pytest
from django.contrib.auth.models import User
from pytest_django import Settings

from realtime import ClientRefused
from realtime.clients.client_counters import counters
from realtime.clients.sign_in_watch import watch_of
from realtime.clients.user_limits import user_limits
from realtime.conf import conf
from realtime.room_tokens import sign_room
from shardlayer import ShardedChannelLayer
from tests.realtime.client import Client
from tests.realtime.revocations import lets_count
from tests.waiting import until

OPEN = {"*": {"subscribe": "anyone", "publish": "anyone"}}

pytestmark = pytest.mark.usefixtures("memory_layer")


class Stranger:
    """A user of a middleware's own kind."""

    is_authenticated = True

    def get_username(self) -> str:
        return "stranger"


async def test_nobody_is_remembered_without_connections(settings: Settings) -> None:
    """The table of users is empty when all of them are gone, however they went."""
    settings.REALTIME = {"MAX_USER_CONNECTIONS": 2}
    connections = user_limits(conf()).connections
    clients = [Client(more={"user": User(pk=number)}) for number in (1, 1, 2)]
    for client in clients:
        await client.__aenter__()
        await client.ask(1, ping={})
    assert len(connections) == 2
    await clients[0].leave()
    await clients[1].kill()
    await clients[2].leave()
    assert len(connections) == 0


async def test_no_limits(settings: Settings) -> None:
    """0 turns each off."""
    settings.REALTIME = {
        "ROOMS": OPEN,
        "MAX_CLIENT_PUBLISHES": 0,
        "MAX_USER_CONNECTIONS": 0,
        "MAX_USER_PUBLISHES": 0,
    }
    async with AsyncExitStack() as stack:
        for _ in range(5):
            client = await stack.enter_async_context(Client(more={"user": User(pk=1)}))
            for id in range(1, 400):
                assert "published" in await client.ask(id, publish={"room": "a", "data": id})
    assert len(user_limits(conf()).publications) == 0


async def test_addresses_that_are_nobody_have_no_share(settings: Settings) -> None:
    """Behind a proxy on this machine that names nobody, each connection has a limit of its own."""
    settings.REALTIME = {"ROOMS": OPEN, "MAX_USER_PUBLISHES": 0.001}
    for client in (None, ["127.0.0.1", 1], ["::1", 1]):
        for _ in range(3):
            async with Client(more={"client": client}) as someone:
                assert "published" in await someone.ask(1, publish={"room": "a", "data": 1})
    async with AsyncExitStack() as stack:
        one, other = [
            await stack.enter_async_context(Client(more={"client": ["203.0.113.5", port]}))
            for port in (1, 2)
        ]
        assert "published" in await one.ask(1, publish={"room": "a", "data": 1})
        assert (await other.ask(1, publish={"room": "a", "data": 1}))["error"]["code"] == "rate"


async def test_users_without_a_key_are_served(settings: Settings) -> None:
    """A middleware may put whatever it has into the scope."""
    settings.REALTIME = {"ROOMS": OPEN, "MAX_USER_CONNECTIONS": 1}
    async with AsyncExitStack() as stack:
        for _ in range(2):
            client = await stack.enter_async_context(Client(more={"user": Stranger()}))
            assert await client.ask(1, ping={}) == {"id": 1, "pong": {}}
            assert "published" in await client.ask(2, publish={"room": "a", "data": 1})


def at(address: str) -> dict[str, Any]:
    """Return what a scope has of a client at that address."""
    return {"client": [address, 1]}


OFFICE, OTHER = at("203.0.113.5"), at("203.0.113.6")


def codes(items: list[dict[str, Any]]) -> list[str | None]:
    """Return the error of each room; None of those that were joined."""
    return [item.get("error", {}).get("code") for item in items]


async def joined(client: Client, id: int, *rooms: str) -> list[str | None]:
    """Ask for rooms, and return the error of each."""
    return codes((await client.ask(id, subscribe=[{"room": room} for room in rooms]))["subscribed"])


class TestRooms:
    """How many rooms all connections of one user, or of one address, may have here."""

    @pytest.mark.parametrize(
        ("one", "other"), [(OFFICE, OTHER), ({"user": User(pk=1)}, {"user": User(pk=2)})]
    )
    async def test_share_of_one(
        self, settings: Settings, one: dict[str, Any], other: dict[str, Any]
    ) -> None:
        """Past it `full`, but for rooms that are here already; others are served."""
        settings.REALTIME = {"ROOMS": OPEN, "MAX_USER_ROOMS": 3}
        before = counters.users_rooms_full
        async with (
            Client(more=one) as first,
            Client(more=one) as second,
            Client(more=other) as guest,
        ):
            assert await joined(first, 1, "a", "b") == [None, None]
            assert await joined(second, 1, "a", "b", "c", "d") == [None, None, None, "full"]
            assert counters.users_rooms_full == before + 1
            assert await joined(guest, 1, "d", "a") == [None, None]
            assert await joined(first, 2, "d") == [None]  # it is here for the other

    async def test_places_are_given_back(self, settings: Settings) -> None:
        """When the last client leaves a room, or is gone, however it went."""
        settings.REALTIME = {"ROOMS": OPEN, "MAX_USER_ROOMS": 2}
        rooms = user_limits(conf()).rooms
        async with Client(more=OFFICE) as client:
            assert await joined(client, 1, "a", "b", "c") == [None, None, "full"]
            await client.ask(2, unsubscribe={"room": "a"})
            assert await joined(client, 3, "c", "a") == [None, "full"]
            assert await joined(client, 4, "c", "b") == [None, None]  # again: it is in these
        assert len(rooms) == 0
        client = Client(more=OFFICE)
        await client.__aenter__()
        assert await joined(client, 1, "a", "b", "c") == [None, None, "full"]
        await client.kill()
        assert len(rooms) == 0
        async with Client(more=OFFICE) as client:
            assert await joined(client, 1, "d", "e") == [None, None]
        assert len(rooms) == 0

    async def test_room_counts_until_all_have_left(self, settings: Settings) -> None:
        """Else two connections could hand each other rooms that count for nobody."""
        settings.REALTIME = {"ROOMS": OPEN, "MAX_USER_ROOMS": 2}
        async with Client(more=OFFICE) as first, Client(more=OFFICE) as second:
            assert await joined(first, 1, "a", "b") == [None, None]
            assert await joined(second, 1, "a", "b") == [None, None]
            await first.ask(2, unsubscribe={"room": "a"})
            await first.ask(3, unsubscribe={"room": "b"})
            assert await joined(first, 4, "c") == ["full"]
            await second.ask(2, unsubscribe={"room": "a"})
            assert await joined(first, 5, "c", "d") == [None, "full"]

    async def test_whoever_it_is(self, settings: Settings) -> None:
        """A user without a key counts by address, too; a user does not count for the address."""
        settings.REALTIME = {"ROOMS": OPEN, "MAX_USER_ROOMS": 2}
        limits = user_limits(conf())
        for more in (OFFICE, OFFICE | {"user": User(pk=1)}, OFFICE | {"user": Stranger()}):
            async with Client(more=more) as client:
                assert await joined(client, 1, "a", "b", "c") == [None, None, "full"]
        assert len(limits.rooms) == 0

    async def test_whom_a_rooms_token_names(
        self, settings: Settings, memory_layer: ShardedChannelLayer
    ) -> None:
        """Is known by it without a look at the session, and does not count for the address."""
        settings.REALTIME = {"ROOMS": {"*": {"subscribe": "nobody"}}, "MAX_USER_ROOMS": 1}
        limits = user_limits(conf())
        log = watch_of(memory_layer, await memory_layer.node()).log
        await until(lambda: lets_count(log, "1"))
        cookie = f"sessionid={'k' * 32}"
        for pk in (1, 2):
            token = sign_room(f"r{pk}", User(pk=pk), session_key="k" * 32)
            async with Client(headers={"Cookie": cookie}, more=OFFICE) as client:
                asked = [{"room": f"r{pk}", "token": token}]
                assert codes((await client.ask(1, subscribe=asked))["subscribed"]) == [None]
                holder = limits.rooms._rooms[f"r{pk}"].holder
                assert holder == f"user.{pk}"

    async def test_addresses_that_are_nobody_have_no_share(self, settings: Settings) -> None:
        """Behind a proxy on this machine that names nobody, only the connection's limits hold."""
        settings.REALTIME = {"ROOMS": OPEN, "MAX_USER_ROOMS": 1, "MAX_USER_NEW_ROOMS": 0.001}
        for client in (None, ["127.0.0.1", 1], ["::1", 1]):
            async with Client(more={"client": client}) as someone:
                assert await joined(someone, 1, "a", "b", "c") == [None] * 3

    async def test_no_limits(self, settings: Settings) -> None:
        """0 turns each off."""
        settings.REALTIME = {
            "ROOMS": OPEN,
            "MAX_CLIENT_COMMANDS": 0,
            "MAX_CLIENT_NEW_ROOMS": 0,
            "MAX_ROOMS_PER_CLIENT": 1,
            "MAX_USER_NEW_ROOMS": 0,
            "MAX_USER_ROOMS": 0,
        }
        async with Client(more=OFFICE) as client:
            for id in range(1, 500, 2):
                assert await joined(client, id, f"r{id}") == [None]
                await client.ask(id + 1, unsubscribe={"room": f"r{id}"})
        limits = user_limits(conf())
        assert len(limits.new_rooms) == len(limits.rooms) == 0


# Ten rooms at once: ten connections' worth.
FEW_NEW = {"ROOMS": OPEN, "MAX_USER_NEW_ROOMS": 0.001, "MAX_ROOMS_PER_CLIENT": 1}


class TestNewRooms:
    """How many new rooms all connections of one user, or of one address, may use a second."""

    @pytest.mark.parametrize(
        ("one", "other"), [(OFFICE, OTHER), ({"user": User(pk=1)}, {"user": User(pk=2)})]
    )
    async def test_joined(
        self, settings: Settings, one: dict[str, Any], other: dict[str, Any]
    ) -> None:
        """Past the rate `rate`, whatever the connection; others are served."""
        settings.REALTIME = FEW_NEW
        refused, users_refused = counters.rooms_refused, counters.users_rooms_refused
        for number in range(10):
            async with Client(more=one) as client:
                assert await joined(client, 1, f"r{number}") == [None]
        async with (
            Client(more=one) as first,
            Client(more=one) as second,
            Client(more=other) as guest,
        ):
            for client in (first, second):
                assert await joined(client, 1, "more") == ["rate"]
            assert counters.rooms_refused == refused + 2
            assert counters.users_rooms_refused == users_refused + 2
            assert await joined(guest, 1, "more") == [None]
            assert await joined(first, 2, "more") == [None]  # it is here already

    async def test_come_back_to_at_once(self, settings: Settings) -> None:
        """What the process still knows costs nothing: a stream of events joins all rooms anew."""
        settings.REALTIME = FEW_NEW
        for _ in range(30):
            async with Client(more=OFFICE) as client:
                assert await joined(client, 1, "a") == [None]

    @pytest.mark.parametrize("one", [OFFICE, {"user": User(pk=1)}])
    async def test_published_to(
        self, settings: Settings, memory_layer: ShardedChannelLayer, one: dict[str, Any]
    ) -> None:
        """A room counts that the first publication goes to, and no other."""
        settings.REALTIME = FEW_NEW
        async with AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(Client(more=one)) for _ in range(5)]
            for id in range(1, 10):
                for client in clients:  # all but the first: to a room that Redis knows
                    answer = await client.ask(id, publish={"room": f"r{id}", "data": 1})
                    assert "published" in answer
            answer = await clients[0].ask(10, publish={"room": "r10", "data": 1})
            assert "published" in answer
            for client in clients:
                answer = await client.ask(11, publish={"room": "more", "data": 1})
                assert answer["error"]["code"] == "rate"
            guest = await stack.enter_async_context(Client(more=OTHER))
            assert await joined(guest, 1, "here") == [None]
            answer = await clients[0].ask(12, publish={"room": "here", "data": 1})
            assert "published" in answer  # whoever is in it has paid
        assert (await memory_layer.room_info("more")).offset == 0

    async def test_what_comes_to_nothing_is_given_back(self, settings: Settings) -> None:
        """A publication that is refused, and a room that can't be joined, cost nothing."""
        settings.REALTIME = FEW_NEW | {
            "ROOMS": {"*": OPEN["*"] | {"on_publish": f"{__name__}.refuse"}},
            "MAX_USER_ROOMS": 1,
        }
        async with Client(more=OFFICE) as first, Client(more=OFFICE) as second:
            assert await joined(first, 1, "a") == [None]
            for id in range(1, 15):
                answer = await second.ask(id, publish={"room": "x", "data": 1})
                assert answer["error"]["code"] == "refused"
                assert await joined(second, id + 100, "b") == ["full"]
        for number in range(9):
            async with Client(more=OFFICE) as client:
                assert await joined(client, 1, f"r{number}") == [None]
        async with Client(more=OFFICE) as client:
            assert await joined(client, 1, "more") == ["rate"]


def refuse(user: Any, room: str, data: Any, claims: Any) -> Any:
    """Refuse whatever a client publishes."""
    raise ClientRefused("No.")
