"""How long a connection may take to subscribe."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest
from pytest_django import Settings

from realtime.clients.newcomers import Newcomers, newcomers_of
from shardlayer import ShardedChannelLayer
from tests.realtime.client import Client, RecordingSink
from tests.realtime.open_rooms import OPEN_ROOMS
from tests.waiting import until


class Silent:
    """A connection that does nothing."""

    closed = False

    def close_unused(self) -> None:
        self.closed = True


class Broken(Silent):
    """A connection that can't be closed."""

    def close_unused(self) -> None:
        super().close_unused()
        raise OSError("the other side is gone")


async def test_one_that_fails_does_not_keep_the_others(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, and the others are closed all the same."""
    newcomers = Newcomers(0.2)
    broken, silent = Broken(), Silent()
    newcomers.add(broken)
    newcomers.add(silent)
    await until(lambda: silent.closed)
    assert broken.closed
    assert "could not be closed" in caplog.text


@pytest.mark.usefixtures("memory_layer")
async def test_who_is_gone_or_busy_is_forgotten(
    settings: Settings, memory_layer: ShardedChannelLayer
) -> None:
    """Nothing stays of a connection that has ended or has subscribed."""
    settings.REALTIME = {"ROOMS": OPEN_ROOMS, "SUBSCRIBE_TIMEOUT": 30}
    newcomers = newcomers_of(await memory_layer.node(), 30)
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(Client()) for _ in range(3)]
        await stack.enter_async_context(Client("room=a"))
        await clients[0].ask(1, ping={})
        await until(lambda: len(newcomers) == 3)
        await clients[0].ask(2, subscribe={"room": "a"})
        assert len(newcomers) == 2
        await clients[1].leave()
        assert len(newcomers) == 1
    assert len(newcomers) == 0


@pytest.mark.usefixtures("memory_layer")
async def test_no_limit(settings: Settings, memory_layer: ShardedChannelLayer) -> None:
    """0 turns it off."""
    settings.REALTIME = {"SUBSCRIBE_TIMEOUT": 0}
    sink = RecordingSink()
    async with Client(sink=sink) as client:
        await client.ask(1, ping={})
        assert len(newcomers_of(await memory_layer.node(), 0)) == 0
        assert sink.closed is None
