"""A room that can't be published to, and that no waiting mends: its records become dead letters."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

import pytest
from aiokafka.errors import KafkaConnectionError
from redis.asyncio import Redis

from demo.embedded import EmbeddedValkey
from realtime.kafka.brokers import Brokers
from realtime.kafka.deadletters import DeadLetters, Letter
from realtime.kafka.letters.postbox import Postbox
from shardlayer import ShardedChannelLayer
from shardlayer.broker.redis.keys import ShardKeys
from shardlayer.core.sharding import hash_tags
from tests.realtime.kafka.bad import records_in
from tests.realtime.kafka.numbered import ROOMS, arrived, expected, produce, published
from tests.realtime.kafka.pools import Pools
from tests.waiting import PATIENCE, until

pytestmark = [pytest.mark.slow, pytest.mark.kafka]

BROKEN = "room.3"
BEFORE, ALL = 40, 400  # records


@pytest.fixture
async def redis(redis_server: EmbeddedValkey) -> AsyncIterator[Redis]:
    """The server, on which the layer's user may not remove keys until the test has ended."""
    client = Redis.from_url(redis_server.url)
    await client.acl_setuser("default", enabled=True, commands=["-unlink"], reset=False)
    yield client
    await client.acl_setuser("default", enabled=True, commands=["+unlink"], reset=False)
    await client.aclose()


def key_of(layer: ShardedChannelLayer, kind: str) -> str:
    """Return a key of the broken room."""
    tags = hash_tags(layer.options.prefix, layer.options.shards)
    keys = ShardKeys(tags[layer.shard_of(BROKEN)])
    return {"history": keys.history, "nodes": keys.nodes}[kind](BROKEN)


@pytest.mark.parametrize("kind", ["history", "nodes"])
async def test_its_records_are_dead_letters(
    kind: str,
    brokers: Brokers,
    topic: str,
    redis: Redis,
    redis_layer: ShardedChannelLayer,
    pools: Pools,
) -> None:
    """All others are published, also those behind them in the partition; a replay brings the rest.

    Its history fails for its own publications alone, its registry whole batches.
    """
    await produce(brokers, topic, 0, BEFORE)
    async with pools.running():
        await arrived(redis_layer, BEFORE)
        key = key_of(redis_layer, kind)
        kept = await redis.dump(key) if kind == "history" else None
        await redis.delete(key)
        await redis.set(key, "foreign")
        await produce(brokers, topic, BEFORE, ALL - BEFORE)
        letters = await records_in(brokers, topic + ".dlq", (ALL - BEFORE) // ROOMS)
        await until(lambda: pools.have_committed(ALL), PATIENCE)
    found = [Letter.read(record) for records in letters.values() for record in records]
    wanted = expected(ALL)
    missing = wanted[BROKEN][BEFORE // ROOMS :]
    assert [letter.value for letter in found] == missing
    for letter in found:
        assert letter.error.startswith("publish failed on shard ")
        assert BROKEN in letter.error
    await redis.delete(key)
    if kept is not None:
        await redis.restore(key, 0, kept)
    rooms = await published(redis_layer)
    assert rooms.pop(BROKEN) == wanted.pop(BROKEN)[: BEFORE // ROOMS]
    assert rooms == wanted

    postbox = Postbox(brokers=brokers, topics=[topic], suffix=".dlq", group=pools.group)
    assert (await postbox.replay()).sent == len(missing)
    async with pools.running():
        await arrived(redis_layer, ALL)
    assert await published(redis_layer) == expected(ALL)


async def test_what_was_published_before_is_no_letter(
    brokers: Brokers,
    topic: str,
    redis: Redis,
    redis_layer: ShardedChannelLayer,
    pools: Pools,
) -> None:
    """A pool that reads again what it had not committed knows by its marks what it has."""
    await produce(brokers, topic, 0, BEFORE)
    async with pools.running():
        await arrived(redis_layer, BEFORE)
    pools.group += "-again"  # has committed nothing
    await redis.set(key_of(redis_layer, "nodes"), "foreign")
    async with pools.running() as pool:
        await until(lambda: pools.have_committed(BEFORE), PATIENCE)
        assert pool.skipped.total == 0
    assert await published(redis_layer) == expected(BEFORE)


async def test_letters_are_waited_for(
    brokers: Brokers,
    topic: str,
    redis: Redis,
    redis_layer: ShardedChannelLayer,
    pools: Pools,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing later of the shard passes a record whose letter is not written: none is lost."""
    write, tries = DeadLetters.write, 0

    async def fail_at_first(letters: DeadLetters, items: list[Letter]) -> None:
        nonlocal tries
        tries += 1
        if tries < 4:
            raise KafkaConnectionError
        await write(letters, items)

    monkeypatch.setattr(DeadLetters, "write", fail_at_first)
    await redis.set(key_of(redis_layer, "nodes"), "foreign")
    await produce(brokers, topic, 0, BEFORE)
    async with pools.running():
        letters = await records_in(brokers, topic + ".dlq", BEFORE // ROOMS)
        await until(partial(others_have_theirs, redis_layer), PATIENCE)
    values = [record.value for records in letters.values() for record in records]
    assert values == expected(BEFORE)[BROKEN]
    assert tries >= 4


async def others_have_theirs(layer: ShardedChannelLayer) -> bool:
    """Tell whether all rooms but the broken one have their records."""
    found, wanted = await published(layer), expected(BEFORE)
    return all(found[room] == wanted[room] for room in wanted if room != BROKEN)
