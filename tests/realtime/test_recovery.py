"""What a client finds again when its Redis died: by how Redis keeps its data."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from demo.embedded import EmbeddedValkey
from realtime import apublish
from realtime.sharded_layer import sharded_layer
from shardlayer import Position, ShardUnavailable
from tests.realtime.client import Client
from tests.realtime.conftest import channel_layers
from tests.waiting import PATIENCE, until

ALWAYS = ("--appendonly", "yes", "--appendfsync", "always")


@pytest.fixture
def durable(tmp_path: Path) -> Iterator[EmbeddedValkey]:
    """A server that has on disk what it acknowledged."""
    with EmbeddedValkey(directory=tmp_path, options=ALWAYS) as server:
        yield server


@pytest.fixture
def forgetful(tmp_path: Path) -> Iterator[EmbeddedValkey]:
    """A server that begins empty each time."""
    with EmbeddedValkey(directory=tmp_path) as server:
        yield server


@asynccontextmanager
async def layer_on(server: EmbeddedValkey, settings: Settings) -> AsyncIterator[None]:
    """Use a patient layer on this server inside the block."""
    # What is published while a process is killed must fit into a history, on a busy machine too.
    settings.CHANNEL_LAYERS = channel_layers(
        hosts=[server.url],
        publish_timeout=PATIENCE,
        history={"*": {"size": 10_000, "ttl": 3600}},
    )
    try:
        yield
    finally:
        await sharded_layer().close()


async def died(server: EmbeddedValkey) -> None:
    """Kill the server without warning, and start it again."""
    await asyncio.to_thread(server.kill)
    await asyncio.to_thread(server.start)


def position_of(answer: dict[str, Any]) -> dict[str, Any]:
    """Return the position that an answer to subscribe names."""
    return {"offset": answer["offset"], "epoch": answer["epoch"]}


async def test_everything_comes_where_redis_writes_always(
    durable: EmbeddedValkey, settings: Settings
) -> None:
    """Killed amid publications, a Redis with `appendfsync always` loses nothing acknowledged.

    Members get it in order and once, and are told of no gap; so is who comes back.
    """
    async with layer_on(durable, settings), Client() as stays:
        joined = (await stays.ask(1, subscribe={"room": "general"}))["subscribed"]
        acknowledged: list[Position] = []

        async def publish_on() -> None:
            while True:
                position = await apublish("general", len(acknowledged))
                assert position is not None
                acknowledged.append(position)

        publishing = asyncio.create_task(publish_on())
        await until(lambda: len(acknowledged) > 50, within=PATIENCE)
        await died(durable)
        before = len(acknowledged)
        await until(lambda: len(acknowledged) > before + 50, within=PATIENCE)
        publishing.cancel()
        await asyncio.wait([publishing])
        pushes = [await stays.receive() for _ in acknowledged]
        expected = [(position.offset, n) for n, position in enumerate(acknowledged)]
        assert [(push.get("offset"), push.get("data")) for push in pushes] == expected
        assert {position.epoch for position in acknowledged} == {joined["epoch"]}
        async with Client() as returns:
            since = position_of(joined)
            again = (await returns.ask(1, subscribe={"room": "general", **since}))["subscribed"]
        found = [(item["offset"], item["data"]) for item in again["publications"]]
        assert again["recovered"] is True
        assert found[: len(expected)] == expected


async def test_loss_is_told_where_redis_keeps_nothing(
    forgetful: EmbeddedValkey, settings: Settings
) -> None:
    """A Redis without persistence loses every history: members get a reset, others no recovery."""
    async with layer_on(forgetful, settings), Client() as stays:
        await stays.ask(1, subscribe={"room": "general"})
        await apublish("general", "before")
        assert (await stays.receive())["data"] == "before"
        async with Client() as leaves:
            left = (await leaves.ask(1, subscribe={"room": "general"}))["subscribed"]
        await died(forgetful)
        reset = (await stays.receive())["reset"]
        assert reset["epoch"] != left["epoch"]
        assert await apublish("general", "after") is not None
        push = await stays.receive()
        assert (push["offset"], push["data"]) == (reset["offset"] + 1, "after")
        async with Client() as returns:
            since = position_of(left)
            again = (await returns.ask(1, subscribe={"room": "general", **since}))["subscribed"]
        assert again["recovered"] is False
        assert [item["data"] for item in again["publications"]] == ["after"]


async def test_trying_again_after_an_unknown_outcome(
    durable: EmbeddedValkey, settings: Settings
) -> None:
    """What raised ShardUnavailable is published once under one key, whatever became of it."""
    settings.CHANNEL_LAYERS = channel_layers(hosts=[durable.url], publish_timeout=5.0)
    try:
        await apublish("general", "first", idempotency_key="order-7")
        await asyncio.to_thread(durable.kill)
        with pytest.raises(ShardUnavailable):
            await apublish("general", "first", idempotency_key="order-7")
        await asyncio.to_thread(durable.start)

        async def tried() -> bool:
            try:
                await apublish("general", "first", idempotency_key="order-7")
            except ShardUnavailable:
                return False
            return True

        async with asyncio.timeout(PATIENCE):
            while not await tried():
                pass
        assert [item.data for item in await sharded_layer().history("general")] == [b'"first"']
    finally:
        await sharded_layer().close()
