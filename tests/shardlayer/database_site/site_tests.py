"""Tests as an application has them: Django's TestCase, a synchronous consumer, a communicator.

`test_testing.py` runs them in a process of its own.
"""

from __future__ import annotations

import asyncio
from typing import Any

from asgiref.sync import async_to_sync
from channels.generic.websocket import JsonWebsocketConsumer
from channels.layers import get_channel_layer
from django.contrib.auth.models import User
from django.test import TestCase

from shardlayer.testing import WebsocketCommunicator, _keeper

PATIENCE = 60  # seconds
TURNS = 10


class UserConsumer(JsonWebsocketConsumer):  # type: ignore[misc]
    """Makes users, and tells its group how many there are."""

    groups = ["users"]

    def receive_json(self, content: str) -> None:
        """Make a user and tell all."""
        User.objects.create(username=content)
        async_to_sync(self.channel_layer.group_send)("users", {"type": "tell.count"})

    def tell_count(self, event: dict[str, Any]) -> None:
        """Tell the client."""
        self.send_json(User.objects.count())

    def disconnect(self, code: int) -> None:
        """Ask once more."""
        User.objects.count()


def communicator() -> WebsocketCommunicator:
    """Return a new client."""
    return WebsocketCommunicator(UserConsumer.as_asgi(), "/")


class UserTest(TestCase):
    """The database is asked by the test, and by consumers, in turn and at once."""

    async def test_asynchronous(self) -> None:
        """Between two calls of the communicator consumers go on."""
        for turn in range(TURNS):
            client = communicator()
            connected, _ = await client.connect(PATIENCE)
            assert connected
            await client.send_json_to(f"user {turn}")
            assert await client.receive_json_from(PATIENCE) == turn + 1
            assert await User.objects.acount() == turn + 1
            await get_channel_layer().group_send("users", {"type": "tell.count"})
            assert await User.objects.acount() == turn + 1
            assert await client.receive_json_from(PATIENCE) == turn + 1
            await client.disconnect(timeout=PATIENCE)
        assert not _keeper.running

    def test_synchronous(self) -> None:
        """The test's own thread has the connection."""

        async def talk(turn: int) -> None:
            clients = [communicator() for _ in range(3)]
            await asyncio.gather(*(client.connect(PATIENCE) for client in clients))
            await clients[0].send_json_to(f"user {turn}")
            counts = await asyncio.gather(
                *(client.receive_json_from(PATIENCE) for client in clients)
            )
            assert counts == [turn + 1] * 3
            for client in clients:
                await client.disconnect(timeout=PATIENCE)

        for turn in range(TURNS):
            async_to_sync(talk)(turn)
            assert User.objects.count() == turn + 1
        assert not _keeper.running

    async def test_client_that_is_forgotten(self) -> None:
        """A test that does not disconnect leaves connections to be closed as before."""
        client = communicator()
        await client.connect(PATIENCE)
        assert _keeper.running
        del client
        assert not _keeper.running
