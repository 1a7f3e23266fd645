"""Publishing to several shards of a server in one call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from redis import Redis

from demo.embedded import EmbeddedValkey
from shardlayer.broker.redis.keys import ShardKeys
from shardlayer.broker.redis.servers import Servers
from shardlayer.core.hosts import Host
from shardlayer.core.options import LayerOptions
from shardlayer.core.sharding import hash_tags
from shardlayer.core.types import Mark
from shardlayer.layer import ShardedChannelLayer
from tests.shardlayer.fakes import RecordingSink
from tests.waiting import until

ROOMS = [f"room-{number}" for number in range(64)]


@pytest.fixture
def redis(redis_server: EmbeddedValkey) -> Iterator[Redis]:
    """A client beside the layer."""
    with Redis.from_url(redis_server.url) as client:
        yield client


@pytest.fixture
async def layer(redis_server: EmbeddedValkey) -> AsyncIterator[ShardedChannelLayer]:
    """A layer whose loop has connections of its own."""
    made = ShardedChannelLayer(hosts=[redis_server.url])
    made.use_running_loop()
    yield made
    await made.close()


async def sink_has(sink: RecordingSink, count: int) -> None:
    await until(lambda: len(sink.texts) >= count)


def calls(redis: Redis) -> int:
    # A server tells only of commands that it has had.
    return int(redis.info("commandstats").get("cmdstat_evalsha", {"calls": 0})["calls"])


@pytest.mark.parametrize("count", [1, 2, 3, 8, 16, 32])
@pytest.mark.parametrize("bundles", [1, 4, 32, 100])
async def test_bundles_are_of_one_server(count: int, bundles: int) -> None:
    """Each server's shards are dealt into that many bundles, as far as there are shards."""
    hosts = tuple(Host(url=f"redis://127.0.0.1:{port}") for port in range(1, count + 1))
    servers = Servers(LayerOptions(hosts=hosts, bundles=bundles))
    members: dict[int, list[int]] = {}
    for shard in range(32):
        members.setdefault(servers.bundle_of(shard), []).append(shard)
    by_server: dict[str, int] = {}
    for bundle, shards in members.items():
        assert bundle == min(shards)
        (address,) = {servers.address_of(shard) for shard in shards}
        by_server[address] = by_server.get(address, 0) + 1
    assert sum(by_server.values()) == min(32, count * bundles)
    assert max(by_server.values()) <= bundles


async def test_callers_of_one_turn_share_a_call_for_each_bundle(
    layer: ShardedChannelLayer, redis: Redis
) -> None:
    """64 rooms of all shards: the first caller's call and one for each bundle."""
    await layer.publish("first", b"0")
    before = calls(redis)
    positions = await asyncio.gather(*(layer.publish(room, b"1") for room in ROOMS))
    assert calls(redis) - before <= 1 + layer.options.bundles
    assert len({layer.shard_of(room) for room in ROOMS}) > 20
    assert [position.offset for position in positions if position is not None] == [1] * 64


async def test_rooms_of_a_call_keep_their_own(layer: ShardedChannelLayer) -> None:
    """Each room has its own count and history, and its members get just its own, in order."""
    node = await layer.node()
    sinks = {room: RecordingSink() for room in ROOMS}
    for room, sink in sinks.items():
        (await node.join(room, sink)).release()
    items = [(room, b'"%b %d"' % (room.encode(), number)) for number in range(5) for room in ROOMS]
    positions = await layer.publish_many(items)
    assert [position.offset for position in positions if position is not None] == [
        number for number in range(1, 6) for _ in ROOMS
    ]
    for room, sink in sinks.items():
        await sink_has(sink, 5)
        wanted = [b'"%b %d"' % (room.encode(), number) for number in range(5)]
        assert [text.partition(b'"data":')[2][:-1] for text in sink.texts] == wanted
        assert [held.data for held in await layer.history(room)] == wanted


async def test_marked_publications_share_one_call(layer: ShardedChannelLayer, redis: Redis) -> None:
    """Whoever has many at once waits for all of them: bundles would only be more calls."""
    await layer.publish_marked([("first", b"0", Mark("log", 0))])
    before = calls(redis)
    items = [(room, b"1", Mark("log", offset)) for offset, room in enumerate(ROOMS, 1)]
    positions = await layer.publish_marked(items)
    assert calls(redis) - before == 1
    assert [position.offset for position in positions if position is not None] == [1] * 64
    assert await layer.publish_marked(items) == [None] * 64
    assert {layer.way_of(shard) for shard in range(32)} == {0}


async def test_many_marked_publications_keep_their_order(
    layer: ShardedChannelLayer, redis: Redis
) -> None:
    """More than a call takes go bundle by bundle, shard by shard; positions are told in order."""
    count = 3 * layer.options.batch_size
    rooms = [ROOMS[number % len(ROOMS)] for number in range(count)]
    before = calls(redis)
    items = [(room, b"%d" % number, Mark("log", number)) for number, room in enumerate(rooms)]
    positions = await layer.publish_marked(items)
    assert calls(redis) - before == 4
    for number, position in enumerate(positions):
        assert position is not None
        assert position.offset == number // len(ROOMS) + 1
    for room in ROOMS[:3]:
        held = [int(publication.data) for publication in await layer.history(room)]
        assert held == [number for number in range(count) if rooms[number] == room][-len(held) :]


async def test_each_shard_keeps_its_own_marks(layer: ShardedChannelLayer) -> None:
    """A source that was taken further on one shard of a call than on another."""
    one, other = _two_of_a_bundle(layer)
    await layer.publish_marked([(one, b"5", Mark("log", 5))])
    again = [(one, b"4", Mark("log", 4)), (other, b"4", Mark("log", 4))]
    first, second = await layer.publish_marked(again)
    assert first is None
    assert second is not None
    assert [held.data for held in await layer.history(one)] == [b"5"]
    assert [held.data for held in await layer.history(other)] == [b"4"]


async def test_node_of_a_call_hears_one_message(
    layer: ShardedChannelLayer,
    redis: Redis,
    redis_server: EmbeddedValkey,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever shards the call publishes to. A node that does not know how hears each by itself."""
    old = ShardedChannelLayer(hosts=[redis_server.url])

    def channels(self: Servers, shard: int, node: str) -> list[str]:
        keys = self.keys[shard]
        return [keys.inbox(node), keys.all_nodes]

    with monkeypatch.context() as patch:
        patch.setattr(Servers, "_channels", channels)
        old_node = await old.node()
    try:
        heard: dict[ShardedChannelLayer, list[int]] = {layer: [], old: []}
        sinks: dict[ShardedChannelLayer, dict[str, RecordingSink]] = {}
        for each in (layer, old):
            node = await each.node()
            sinks[each] = {room: RecordingSink() for room in ROOMS}
            for room, sink in sinks[each].items():
                (await node.join(room, sink)).release()
            arrived = node.arrived

            def count(shard: int, batch: bytes, of: Any = each, then: Any = arrived) -> None:
                heard[of].append(len(batch))
                then(shard, batch)

            monkeypatch.setattr(node, "arrived", count)
        assert old_node is await old.node()
        await layer.publish_many([(room, b"0") for room in ROOMS])
        for tag in hash_tags(layer.options.prefix, layer.options.shards):
            redis.set(ShardKeys(tag).born, 1)  # from here on registries are trusted
        for of_layer in sinks.values():
            for sink in of_layer.values():
                await sink_has(sink, 1)
        for told in heard.values():
            told.clear()
        items = [(room, b"1", Mark("log", offset)) for offset, room in enumerate(ROOMS, 1)]
        await layer.publish_marked(items)
        for of_layer in sinks.values():
            for sink in of_layer.values():
                await sink_has(sink, 2)
                assert len(sink.texts) == 2
        assert len(heard[layer]) == 1
        assert len(heard[old]) == len({layer.shard_of(room) for room in ROOMS})
    finally:
        await old.close()


async def test_idempotency_keys_of_several_shards(layer: ShardedChannelLayer) -> None:
    """The same key in rooms of two shards stands for two publications."""
    rooms = _two_of_a_bundle(layer)
    both = [
        await asyncio.gather(*(layer.publish(room, b"1", idempotency_key="k") for room in rooms))
        for _ in range(2)
    ]
    assert both[0] == both[1]
    assert [len(await layer.history(room)) for room in rooms] == [1, 1]


@pytest.mark.parametrize("meta", ["7 short ", "7 farTooLong ", "seven k3k3k3k3 ", "", "7"])
async def test_room_whose_meta_is_broken_begins_anew(
    layer: ShardedChannelLayer, redis: Redis, meta: str
) -> None:
    """Whoever wrote there harms that room's count, and no other of the call."""
    broken, fine = _two_of_a_bundle(layer)
    keys = ShardKeys(hash_tags(layer.options.prefix, layer.options.shards)[layer.shard_of(broken)])
    first = await layer.publish(broken, b"1")
    await layer.publish(fine, b"1")
    assert first is not None
    redis.set(keys.meta(broken), meta)
    for offset in (1, 2):
        anew, on = await layer.publish_many([(broken, b"2"), (fine, b"2")])
        assert anew is not None
        assert on is not None
        assert (anew.offset, on.offset) == (offset, offset + 1)
        assert anew.epoch != first.epoch


async def test_share_of_targeted_rooms_that_is_no_number(
    layer: ShardedChannelLayer, redis: Redis
) -> None:
    """It is taken for all of them."""
    for tag in hash_tags(layer.options.prefix, layer.options.shards):
        redis.set(ShardKeys(tag).targeted, "many")
    assert all(await layer.publish_many([(room, b"1") for room in ROOMS]))


def _two_of_a_bundle(layer: ShardedChannelLayer) -> tuple[str, str]:
    bundles = layer.options.bundles
    shard = layer.shard_of(ROOMS[0])
    other = next(
        room
        for room in ROOMS
        if layer.shard_of(room) != shard and layer.shard_of(room) % bundles == shard % bundles
    )
    return ROOMS[0], other


async def test_each_shard_by_itself(redis_server: EmbeddedValkey, redis: Redis) -> None:
    """As many bundles as shards: no call touches two of them, which a proxy may ask for."""
    layer = ShardedChannelLayer(hosts=[redis_server.url], bundles=32)
    layer.use_running_loop()
    try:
        await layer.publish(ROOMS[0], b"1")
        before = calls(redis)
        await layer.publish_many([(room, b"1") for room in ROOMS])
        assert calls(redis) - before == len({layer.shard_of(room) for room in ROOMS})
        assert [layer.way_of(shard) for shard in range(32)] == list(range(32))
    finally:
        await layer.close()
