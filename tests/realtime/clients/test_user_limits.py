"""What all connections of a user may do together."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest
from django.contrib.auth.models import User
from pytest_django import Settings

from realtime.clients.user_limits import user_limits
from realtime.conf import conf
from tests.realtime.client import Client

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
