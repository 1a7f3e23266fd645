"""What a node makes of the batches that it hears, through a real Redis and in memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from redis import Redis

from shardlayer.broker.redis.keys import ShardKeys
from shardlayer.core.sharding import hash_tags
from shardlayer.core.types import Mark
from shardlayer.layer import ShardedChannelLayer
from tests.shardlayer.fakes import RecordingSink, recording_tracer
from tests.waiting import PATIENCE, until

ALIEN = b"00-0af7651916cd43dd8448eb211c80319c-0000000000000001-01"
OWN = b"00-0af7651916cd43dd8448eb211c80319c-0000000000000002-01"


@pytest.fixture(params=["memory", "redis"])
async def layer(request: pytest.FixtureRequest) -> AsyncIterator[ShardedChannelLayer]:
    """A layer of two shards, told together of what is published, whose rooms keep no history."""
    url = f"memory://{uuid4().hex}"
    if request.param == "redis":
        url = request.getfixturevalue("redis_server").url
        with Redis.from_url(url) as redis:
            for tag in hash_tags("rt", 2):  # registries that are trusted at once
                redis.set(ShardKeys(tag).born, "1")
    made = ShardedChannelLayer(hosts=[url], shards=2, bundles=1, history={"*": None})
    yield made
    await made.close()


@pytest.mark.parametrize("refused", [0, 1])
@pytest.mark.parametrize("told", [0, 1])
async def test_trace_of_a_publication_that_is_refused_is_nobodys(
    layer: ShardedChannelLayer, refused: int, told: int
) -> None:
    """The publication behind it is not told with it: of the same shard, or of the next one."""
    rooms = {layer.shard_of(name): name for name in "abcdef"}
    node = await layer.node()
    sink = RecordingSink()
    for room in rooms.values():
        (await node.join(room, sink)).release()
    source = iter(range(1, 100))
    items = [
        (rooms[refused], b"no JSON", Mark("log", next(source))),
        (rooms[told], b"1", Mark("log", next(source))),
        (rooms[told], b"2", Mark("log", next(source))),
    ]
    with recording_tracer() as tracer:
        await layer.publish_marked(items, traces={0: ALIEN, 2: OWN})
        await until(lambda: len(sink.texts) == 2 and tracer.told != [])
    assert [each.traceparent for each in tracer.told] == [OWN]
    assert layer.stats()["broken_entries"] == 1


async def test_flush_that_is_heard_of_in_the_turn_in_which_its_time_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It has succeeded, and raises nothing."""
    layer = ShardedChannelLayer(hosts=[f"memory://{uuid4().hex}"], shards=2, publish_timeout=0.5)
    node = await layer.node()
    loop, marks = asyncio.get_running_loop(), list[bytes]()

    async def note(mark: bytes) -> None:
        marks.append(mark)
        loop.call_soon(stand_still)  # once the flush waits

    def stand_still() -> None:
        loop.call_later(0.5, hear)  # comes behind the end of the flush's time, in the same turn
        time.sleep(1.0)

    def hear() -> None:
        for shard in range(2):
            node._flushed(shard, marks[0])

    async with asyncio.timeout(PATIENCE):
        await node._settled(0)
        monkeypatch.setattr(node._backend, "flush", note)
        await node.flush()
    await layer.close()
