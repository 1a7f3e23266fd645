"""Rooms that nobody publishes to do not keep the dead."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from uuid import uuid4

import pytest

from demo.embedded import EmbeddedValkey
from shardlayer.aio.tasks import Tasks
from shardlayer.broker.redis.keys import ShardKeys
from shardlayer.broker.redis.redis_broker import RedisBackend
from shardlayer.core.sharding import hash_tags
from shardlayer.core.types import NodeId
from shardlayer.delivery.sweeper import Sweeper
from shardlayer.layer import ShardedChannelLayer
from tests.shardlayer.fakes import RecordingSink
from tests.waiting import until

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


async def test_leases_of_killed_nodes_do_not_pile_up(redis_server: EmbeddedValkey) -> None:
    """Redis keeps a lease that nobody withdrew until its shard is swept; memory sweeps itself."""
    brief = ShardedChannelLayer(hosts=[redis_server.url], lease_ttl=0.2)
    layer = ShardedChannelLayer(hosts=[redis_server.url])
    try:
        node, killed = await layer.node(), NodeId("killed")
        shard, backend = layer.shard_of(ROOMS[0]), node._backend
        assert isinstance(backend, RedisBackend)
        await node.join(ROOMS[0], RecordingSink())
        await (await brief.node())._backend.renew(shard, killed)
        alive = ShardKeys(hash_tags(layer.options.prefix, layer.options.shards)[shard]).alive

        async def leases() -> list[bytes]:
            found: list[bytes] = await backend._execute(shard, "ZRANGE", alive, 0, -1)
            return found

        assert {node.id.encode(), killed.encode()} <= {*await leases()}

        async def is_swept() -> bool:
            await backend.prune(shard, [ROOMS[0]])
            return killed.encode() not in await leases()

        await until(is_swept)
        assert node.id.encode() in await leases()
    finally:
        await layer.close()
        await brief.close()
