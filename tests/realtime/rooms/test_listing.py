"""Pages of rooms."""

from __future__ import annotations

import pytest
from pytest_django import Settings

from demo.embedded import EmbeddedValkey, free_port
from realtime import apublish
from realtime.rooms.listing import (
    first_page,
    list_rooms,
    room_with_history,
    rooms_page,
)
from realtime.sharded_layer import sharded_layer
from shardlayer import RoomInfo, ShardedChannelLayer, ShardUnavailable
from tests.realtime.client import RecordingSink
from tests.realtime.conftest import channel_layers


async def test_every_room_is_on_some_page(redis_layer: ShardedChannelLayer) -> None:
    """Page by page every room comes, with its figures."""
    names = {f"room.{number}" for number in range(30)}
    for name in names:
        await apublish(name, 1)
    seen: dict[str, RoomInfo] = {}
    cursors = first_page(1)
    for _ in range(100):
        page = await rooms_page(redis_layer, cursors, count=5, within=5)
        assert page.silent == {}
        seen |= {room.room: room for room in page.rooms}
        if page.next is None:
            break
        cursors = page.next
    assert set(seen) == names
    assert seen["room.7"].offset == 1
    assert seen["room.7"].shard == redis_layer.shard_of("room.7")


@pytest.mark.parametrize(("limit", "more"), [(29, True), (30, False)])
async def test_list_ends_at_its_limit(
    redis_layer: ShardedChannelLayer, limit: int, more: bool
) -> None:
    """A list goes through all pages, has each room once, and says when it left some out."""
    names = [f"room.{number:02}" for number in range(30)]
    for name in names:
        await apublish(name, 1)
    found = await list_rooms(redis_layer, limit=limit, count=5, within=5)
    assert found.more is more
    assert found.silent == {}
    assert len(found.rooms) == limit
    assert [room.room for room in found.rooms] == sorted({room.room for room in found.rooms})


async def test_list_shows_who_is_there(redis_layer: ShardedChannelLayer) -> None:
    """A room with a member on a node is on the list before anything is published."""
    node = await redis_layer.node()
    joined = await node.join("general", RecordingSink())
    joined.release()
    [room] = (await list_rooms(redis_layer, limit=5, count=100, within=5)).rooms
    assert (room.room, room.nodes) == ("general", {node.id: 1})


async def test_dead_server_leaves_the_others(
    settings: Settings, redis_server: EmbeddedValkey
) -> None:
    """A server that does not answer is named; the rooms of the others are shown."""
    dead = f"redis://127.0.0.1:{free_port()}"
    settings.CHANNEL_LAYERS = channel_layers(hosts=[redis_server.url, dead], publish_timeout=0.3)
    layer = sharded_layer()
    alive = next(name for name in map(str, range(99)) if layer.shard_of(name) % 2 == 0)
    lost = next(name for name in map(str, range(99)) if layer.shard_of(name) % 2 == 1)
    await apublish(alive, 1)
    page = await rooms_page(layer, first_page(2), count=100, within=5)
    assert [room.room for room in page.rooms] == [alive]
    assert list(page.silent) == [dead]
    found = await list_rooms(layer, limit=5, count=1, within=5)
    assert [room.room for room in found.rooms] == [alive]
    assert list(found.silent) == [dead]
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
