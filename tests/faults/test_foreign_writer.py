"""Something else writes to a node's channels and to histories in Redis: nothing breaks of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import orjson
import pytest
from redis.asyncio import Redis

from demo.embedded import EmbeddedValkey
from shardlayer.broker.redis.keys import ShardKeys
from shardlayer.core import wire
from shardlayer.core.options import PREFIX, SHARDS
from shardlayer.core.sharding import hash_tags
from shardlayer.core.wire import Kind
from shardlayer.layer import ShardedChannelLayer
from tests.shardlayer.fakes import RecordingSink
from tests.waiting import PATIENCE, until

ROOM = "general"
PLAIN = "plain"
GARBAGE = [
    b"",
    b"hello",
    b"\xff\xfe",
    b'"\xc3"',
    b'{"a":1',
    b"[1}",
    b"\x80\x04K\x01.",
    b"  ",
    b"nul",
    b"1-2",
]


@pytest.fixture
async def layer(redis_server: EmbeddedValkey) -> AsyncIterator[ShardedChannelLayer]:
    """A layer with a room that keeps history, and one that does not."""
    made = ShardedChannelLayer(
        hosts=[redis_server.url], history={PLAIN: None, "*": {"size": 100, "ttl": 60}}
    )
    yield made
    await made.close()


@pytest.fixture
async def redis(redis_server: EmbeddedValkey) -> AsyncIterator[Redis]:
    """The foreign writer."""
    async with Redis.from_url(redis_server.url) as client:
        yield client


def keys_of(layer: ShardedChannelLayer, name: str) -> ShardKeys:
    return ShardKeys(hash_tags(PREFIX, SHARDS)[layer.shard_of(name)])


async def ears(redis: Redis) -> set[str]:
    return {entry["id"] for entry in await redis.client_list(_type="pubsub")}


async def test_orders_for_what_is_no_channel(layer: ShardedChannelLayer, redis: Redis) -> None:
    """They are left out; the connection stays, and with it all other shards of the server."""
    node = await layer.node()
    channel = await layer.new_channel()
    await layer.group_add("group", channel)
    before = await ears(redis)
    inbox = keys_of(layer, "group").inbox(node.id)
    orders = [b"\xff\xfe", b"", b"normal", b"specific.another!1", "specific.ü!1".encode()]
    for kind in (Kind.ADD, Kind.DISCARD):
        for payload in orders:
            await redis.spublish(inbox, wire.pack_order(kind, "group", payload))
    await until(lambda: layer.stats()["broken_entries"] == 2 * len(orders))
    await layer.group_send("group", {"type": "x"})
    assert await layer.receive(channel) == {"type": "x"}
    assert await ears(redis) == before
    assert layer.stats()["broken_batches"] == 0


@pytest.mark.parametrize("garbage", GARBAGE, ids=repr)
async def test_publication_that_is_no_json(
    layer: ShardedChannelLayer, redis: Redis, caplog: pytest.LogCaptureFixture, garbage: bytes
) -> None:
    """No member gets it; what was published before and after it comes, and nothing twice."""
    node = await layer.node()
    sink = RecordingSink()
    (await node.join(PLAIN, sink)).release()
    before = await ears(redis)
    inbox = keys_of(layer, PLAIN).inbox(node.id)
    await layer.publish(PLAIN, b"1")
    body = wire.pack_body(Kind.PUBLICATION, PLAIN, garbage)
    good = wire.pack_body(Kind.PUBLICATION, PLAIN, b"2")
    await redis.spublish(inbox, wire.pack_batch(wire.pack_entry(body), wire.pack_entry(good)))
    await layer.publish(PLAIN, b"3")
    await until(lambda: len(sink.texts) == 3)
    assert [orjson.loads(text)["data"] for text in sink.texts] == [1, 2, 3]
    assert layer.stats()["broken_entries"] == 1
    assert f"Shard {layer.shard_of(PLAIN)}: what came for {PLAIN} was left out" in caplog.text
    assert await ears(redis) == before


@pytest.mark.parametrize("garbage", GARBAGE, ids=repr)
async def test_publication_with_a_place_in_a_history(
    layer: ShardedChannelLayer, garbage: bytes
) -> None:
    """It keeps its place as `null`, for who was there and for who comes later; nobody waits."""
    node = await layer.node()
    sink, later = RecordingSink(), RecordingSink()
    joined = await node.join(ROOM, sink)
    joined.release()
    # The layer's own publish asks its caller for JSON, and does not look.
    for data in (b"1", garbage, b"3"):
        await layer.publish(ROOM, data)
    await until(lambda: len(sink.texts) == 3)
    assert [orjson.loads(text)["data"] for text in sink.texts] == [1, None, 3]
    assert [item.data for item in await layer.history(ROOM)] == [b"1", b"null", b"3"]
    assert joined.position is not None
    again = await node.join(ROOM, later, joined.position)
    assert [item.data for item in again.publications] == [b"1", b"null", b"3"]
    assert again.recovered
    assert layer.stats()["broken_entries"] == 1


async def test_announcement_that_is_no_json(layer: ShardedChannelLayer) -> None:
    """Nobody is told, and the next one is."""
    node = await layer.node()
    sink = RecordingSink()
    node.attend(sink)
    async with asyncio.timeout(PATIENCE):
        await node.flush()  # all shards can be heard
    await layer.announce(b"\xff")
    await layer.announce(b"2")
    await until(lambda: sink.texts)
    assert [orjson.loads(text) for text in sink.texts] == [{"announcement": 2}]
    assert layer.stats()["broken_entries"] == 1
