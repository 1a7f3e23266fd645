"""What receivers hear of clients and of their rooms."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.dispatch import Signal

from realtime import client_connected, client_disconnected, room_joined, room_left
from realtime.clients.client_counters import counters
from realtime.clients.client_signals import SIGNALS, ToldClient
from realtime.connections import aunsubscribe
from shardlayer import ShardedChannelLayer
from tests.realtime.client import Client
from tests.realtime.users import cookie_of
from tests.waiting import until

NAMES = {
    client_connected: "connected",
    client_disconnected: "disconnected",
    room_joined: "joined",
    room_left: "left",
}
Heard = list[tuple[str, dict[str, Any]]]


@pytest.fixture
def heard() -> Iterator[Heard]:
    """What a receiver of all four hears, without the names of connections."""
    found: Heard = []

    def receiver(signal: Signal, **arguments: Any) -> None:
        arguments.pop("sender")
        assert len(arguments.pop("client")) == 16
        found.append((NAMES[signal], arguments))

    with ExitStack() as stack:
        for signal in SIGNALS:
            signal.connect(receiver)
            stack.callback(signal.disconnect, receiver)
        yield found


async def test_client_comes_joins_leaves_and_goes(
    memory_layer: ShardedChannelLayer, heard: Heard
) -> None:
    """In order; joining again is not told, and what it is still in is left when it goes."""
    async with Client(more={"client": ("203.0.113.7", 5)}) as client:
        await client.ask(1, subscribe=[{"room": "a"}, {"room": "b"}])
        await client.ask(2, subscribe={"room": "a"})
        await client.ask(3, unsubscribe={"room": "a"})
    await until(lambda: len(heard) == 6)
    nobody = {"user": None}
    assert heard == [
        ("connected", nobody | {"address": "203.0.113.7"}),
        ("joined", nobody | {"room": "a"}),
        ("joined", nobody | {"room": "b"}),
        ("left", nobody | {"room": "a"}),
        ("left", nobody | {"room": "b"}),
        ("disconnected", nobody | {"address": "203.0.113.7"}),
    ]


async def test_refused_room_is_not_told(
    memory_layer: ShardedChannelLayer, heard: Heard, settings: Any
) -> None:
    """Who could not join was not there."""
    settings.REALTIME = {"ROOMS": {"*": {"subscribe": "nobody"}}}
    async with Client() as client:
        assert "error" in await client.ask(1, subscribe={"room": "a"})
    await until(lambda: len(heard) == 2)
    assert [name for name, _ in heard] == ["connected", "disconnected"]


async def test_killed_client_is_told_of(memory_layer: ShardedChannelLayer, heard: Heard) -> None:
    """However its connection ends, while the process lives."""
    client = Client()
    await client.begin()
    await client.event()
    await client.ask(1, subscribe={"room": "a"})
    await client.kill()
    await until(lambda: len(heard) == 4)
    assert [name for name, _ in heard] == ["connected", "joined", "left", "disconnected"]


@pytest.mark.django_db(transaction=True)
async def test_user_is_named_once_known_and_put_out(
    memory_layer: ShardedChannelLayer, heard: Heard, settings: Any
) -> None:
    """The primary key as text; who is put out of a room has left it."""
    settings.REALTIME = {"ROOMS": {"*": {"subscribe": "signed_in"}}}
    user = await sync_to_async(User.objects.create_user)("ada")
    cookie = await sync_to_async(cookie_of)(user)
    async with Client(headers={"cookie": cookie}) as client:
        assert "subscribed" in await client.ask(1, subscribe={"room": "a"})
        await aunsubscribe(user, "a")
        assert (await client.receive())["unsubscribed"]
    await until(lambda: len(heard) == 4)
    assert heard[1] == ("joined", {"room": "a", "user": str(user.pk)})
    assert heard[2] == ("left", {"room": "a", "user": str(user.pk)})


async def test_nothing_is_made_where_nobody_listens(memory_layer: ShardedChannelLayer) -> None:
    """A client then has no name, and no signal is sent."""
    sent = counters.client_signals
    node = await memory_layer.node()
    async with Client() as client:
        await client.ask(1, subscribe={"room": "a"})
        assert not node._rooms.clients
    assert counters.client_signals == sent
    assert ToldClient.of(lambda: "", None, None) is None  # type: ignore[arg-type]
