"""Pages of rooms."""

from __future__ import annotations

import pytest
from pytest_django import Settings

from demo.embedded import EmbeddedValkey, free_port
from realtime import apublish
from realtime.rooms.listing import room_with_history
from realtime.sharded_layer import sharded_layer
from shardlayer import ShardedChannelLayer, ShardUnavailable
from tests.realtime.conftest import channel_layers


async def test_room_of_a_dead_server(settings: Settings, redis_server: EmbeddedValkey) -> None:
    """What can't be known is an error, not an empty room."""
    dead = f"redis://127.0.0.1:{free_port()}"
    settings.CHANNEL_LAYERS = channel_layers(hosts=[redis_server.url, dead], publish_timeout=0.3)
    layer = sharded_layer()
    lost = next(name for name in map(str, range(99)) if layer.shard_of(name) % 2 == 1)
    with pytest.raises(ShardUnavailable):
        await room_with_history(layer, lost, limit=5, within=5)
    await layer.close()


async def test_room_with_its_history(redis_layer: ShardedChannelLayer) -> None:
    """A room's history is shown from the newest, as much as asked for."""
    for number in range(5):
        await apublish("general", {"n": number})
    info, history = await room_with_history(redis_layer, "general", limit=3, within=5)
    assert info.offset == 5
    assert [item.data for item in history] == [b'{"n":4}', b'{"n":3}', b'{"n":2}']
