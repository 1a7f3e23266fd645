"""Batches are published until all of them is acknowledged, on real servers that fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pytest_django import Settings

from realtime.embedded import EmbeddedValkey
from realtime.kafka.delivery import Delivery
from realtime.layers import sharded_layer
from shardlayer import ShardedChannelLayer
from tests.realtime.conftest import channel_layers
from tests.realtime.waiting import until


@pytest.fixture
async def second_server(tmp_path: Path) -> AsyncIterator[EmbeddedValkey]:
    """A server beside the shared one, that is not up yet."""
    server = EmbeddedValkey(directory=tmp_path)
    server.start()
    server.stop()  # it has its port now
    yield server
    server.stop()


@pytest.fixture
async def layer(
    settings: Settings, redis_server: EmbeddedValkey, second_server: EmbeddedValkey
) -> AsyncIterator[ShardedChannelLayer]:
    """A layer on both servers: even shards live on the first."""
    settings.CHANNEL_LAYERS = channel_layers(
        hosts=[redis_server.url, second_server.url], publish_timeout=0.2
    )
    layer = sharded_layer()
    yield layer
    await layer.close()


def rooms_on(layer: ShardedChannelLayer, server: int, count: int) -> list[str]:
    """Return rooms whose shards live on a server."""
    names = (f"room.{number}" for number in range(1000))
    return [name for name in names if layer.shard_of(name) % 2 == server][:count]


async def data_of(layer: ShardedChannelLayer, room: str) -> list[bytes]:
    """Return what a room's history holds."""
    return [item.data for item in await layer.history(room)]


async def test_batch_is_published_in_order(redis_layer: ShardedChannelLayer) -> None:
    """What is for one room arrives in the batch's order."""
    items = [(f"room.{number % 7}", b"%d" % number) for number in range(100)]
    assert await Delivery(redis_layer).publish(items, give_up=asyncio.Event())
    for room in range(7):
        expected = [b"%d" % number for number in range(100) if number % 7 == room]
        assert await data_of(redis_layer, f"room.{room}") == expected


async def test_empty_batch_is_done(redis_layer: ShardedChannelLayer) -> None:
    """A batch of which every record was bad is acknowledged."""
    assert await Delivery(redis_layer).publish([], give_up=asyncio.Event())


async def test_dead_shard_is_tried_until_it_is_back(
    layer: ShardedChannelLayer,
    second_server: EmbeddedValkey,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A batch waits for its dead server; what the other took is not sent again."""
    [alive], [dead] = rooms_on(layer, 0, 1), rooms_on(layer, 1, 1)
    items = [(alive, b"1"), (dead, b"2"), (alive, b"3"), (dead, b"4")]
    publishing = asyncio.create_task(Delivery(layer).publish(items, give_up=asyncio.Event()))
    await until(lambda: "Redis is not available" in caplog.text)
    await asyncio.to_thread(second_server.start)
    assert await asyncio.wait_for(publishing, 10)
    assert await data_of(layer, alive) == [b"1", b"3"]
    assert await data_of(layer, dead) == [b"2", b"4"]
    assert "Redis is back after" in caplog.text


async def test_giving_up(layer: ShardedChannelLayer) -> None:
    """Told to give up, a batch that a server does not take is not acknowledged."""
    give_up = asyncio.Event()
    give_up.set()
    [dead] = rooms_on(layer, 1, 1)
    assert await Delivery(layer).publish([(dead, b"1")], give_up=give_up) is False


async def test_giving_up_does_not_matter_while_all_goes_well(
    redis_layer: ShardedChannelLayer,
) -> None:
    """A batch in hand is finished, told or not."""
    give_up = asyncio.Event()
    give_up.set()
    assert await Delivery(redis_layer).publish([("a", b"1")], give_up=give_up)


async def test_other_errors_are_raised(redis_layer: ShardedChannelLayer) -> None:
    """What waiting would not mend is an error."""
    with pytest.raises(TypeError):
        await Delivery(redis_layer).publish([("no room", b"1")], give_up=asyncio.Event())
