"""Rooms that nobody publishes to do not keep the dead."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from uuid import uuid4

import pytest

from shardlayer.aio.tasks import Tasks
from shardlayer.delivery.sweeper import Sweeper
from shardlayer.layer import ShardedChannelLayer
from tests.shardlayer.fakes import RecordingSink

ROOMS = [f"room{number}" for number in range(700)]  # more than a page
MakeLayer = Callable[[], ShardedChannelLayer]


@pytest.fixture(params=["memory", "redis"])
async def make_layer(request: pytest.FixtureRequest) -> AsyncIterator[MakeLayer]:
    """A maker of layers that share a server of each kind."""
    url = f"memory://{uuid4().hex}"
    if request.param == "redis":
        url = request.getfixturevalue("redis_server").url
    made: list[ShardedChannelLayer] = []

    def make() -> ShardedChannelLayer:
        made.append(ShardedChannelLayer(hosts=[url]))
        return made[-1]

    yield make
    for layer in made:
        await layer.close()


async def test_dead_nodes_are_swept_out_of_quiet_rooms(make_layer: MakeLayer) -> None:
    """What a node that went leaves in the registries is found; who is there stays."""
    here, gone = make_layer(), make_layer()
    node, other = await here.node(), await gone.node()
    for name in ROOMS:
        await other.join(name, RecordingSink())
    for name in ROOMS[:3]:
        await node.join(name, RecordingSink())
    await gone.close()
    assert set((await here.room_info(ROOMS[0])).nodes) == {node.id, other.id}
    sweeper = Sweeper(node._backend, here.options, tasks=Tasks(), interval=60.0)
    assert await sweeper.sweep(0) == len(ROOMS)
    assert set((await here.room_info(ROOMS[0])).nodes) == {node.id}
    assert not (await here.room_info(ROOMS[-1])).nodes


async def test_server_is_swept_once_in_a_while(make_layer: MakeLayer) -> None:
    """Whoever comes within the interval leaves it to the one that did."""
    here, gone = make_layer(), make_layer()
    node, other = await here.node(), await gone.node()
    eager = Sweeper(node._backend, here.options, tasks=Tasks(), interval=60.0)
    assert await eager.sweep(0) == 0
    await other.join(ROOMS[0], RecordingSink())
    await gone.close()
    assert await eager.sweep(0) == 0
    assert set((await here.room_info(ROOMS[0])).nodes) == {other.id}
