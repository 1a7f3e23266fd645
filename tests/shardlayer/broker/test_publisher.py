"""Publishing through a shard that answers late, twice or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from demo.embedded import EmbeddedValkey
from shardlayer.broker.publisher import Publisher
from shardlayer.broker.redis.redis_broker import RedisBackend
from shardlayer.broker.redis.servers import Servers
from shardlayer.broker.values import Batch, Outgoing, Published
from shardlayer.core import wire
from shardlayer.core.exceptions import ShardUnavailable
from shardlayer.core.hosts import Host
from shardlayer.core.options import LayerOptions
from shardlayer.core.types import HistoryPolicy, Position
from tests.waiting import until

SHARD = 3
HASTE = 8.0  # seconds that a publication may take


class LossyBackend(RedisBackend):
    """A real Redis whose answers can be lost on their way back."""

    def __init__(self, options: LayerOptions) -> None:
        super().__init__(options, Servers(options))
        self.lose = 0  # answers still to be lost
        self.numbers: list[int] = []

    async def publish(self, bundle: int, batch: Batch) -> Published:
        self.numbers.append(batch.number)
        published = await super().publish(bundle, batch)
        if self.lose:
            self.lose -= 1
            lost = ConnectionError("it is gone")
            reason = "answer lost"
            raise ShardUnavailable(shard=bundle, server=self.servers[0], reason=reason) from lost
        return published


@pytest.fixture
async def backend(redis_server: EmbeddedValkey) -> AsyncIterator[LossyBackend]:
    """A backend on a server of its own."""
    made = LossyBackend(LayerOptions(hosts=(Host(url=redis_server.url),)))
    yield made
    await made.aclose()


@pytest.fixture
async def publisher(backend: LossyBackend) -> AsyncIterator[Publisher]:
    """A publisher on that backend, which has all the time that a busy machine takes."""
    made = Publisher(backend, LayerOptions(publish_timeout=30.0))
    yield made
    await made.aclose()


@pytest.fixture
async def hasty(backend: LossyBackend) -> AsyncIterator[Publisher]:
    """A publisher on that backend that gives up after a while."""
    made = Publisher(backend, LayerOptions(publish_timeout=HASTE))
    yield made
    await made.aclose()


def outgoing(number: int, room: str = "room", shard: int = SHARD) -> Outgoing:
    body = wire.pack_body(wire.Kind.PUBLICATION, room, b"%d" % number)
    return Outgoing(shard, room, body, HistoryPolicy(size=100, ttl=60.0))


async def test_lost_answer_is_asked_for_again_and_applied_once(
    backend: LossyBackend, publisher: Publisher
) -> None:
    """A retry carries the same number, is not applied again, and gets the original offset."""
    backend.lose = 2
    position = (await publisher.publish(outgoing(1))).position
    assert position is not None
    assert position.offset == 1
    assert backend.numbers == [1, 1, 1]
    assert publisher.counters.retries == 2
    assert len(await backend.history(SHARD, "room", 10)) == 1


async def test_batches_are_numbered_on(backend: LossyBackend, publisher: Publisher) -> None:
    """The batch after a repeated one has the next number and is applied."""
    backend.lose = 1
    await publisher.publish(outgoing(1))
    await publisher.publish(outgoing(2))
    assert backend.numbers == [1, 1, 2]
    assert [item.data for item in await backend.history(SHARD, "room", 10)] == [b"1", b"2"]


async def test_callers_are_told_in_time(backend: LossyBackend, hasty: Publisher) -> None:
    """After `publish_timeout` all who waited so long get ShardUnavailable; then it goes on."""
    backend.lose = 1_000
    loop = asyncio.get_running_loop()
    begun = loop.time()
    ends: list[float] = []
    waiting = [asyncio.create_task(hasty.publish(outgoing(number))) for number in (1, 2)]
    for task in waiting:
        task.add_done_callback(lambda _: ends.append(loop.time()))
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(result) for result in results] == [ShardUnavailable, ShardUnavailable]
    assert ends[1] - ends[0] < HASTE  # not one timeout after the other
    assert ends[1] - begun < 3 * HASTE
    assert hasty.counters.failed == 2
    backend.lose = 0
    assert (await hasty.publish(outgoing(3))).position is not None


async def test_concurrent_publications_share_batches(publisher: Publisher) -> None:
    """200 callers at once need far fewer than 200 calls; each gets its own offset."""
    places = await asyncio.gather(*(publisher.publish(outgoing(number)) for number in range(200)))
    offsets = [place.position.offset for place in places if place.position is not None]
    assert offsets == list(range(1, 201))
    assert publisher.counters.batches <= 4
    assert publisher.counters.published == 200


async def test_lost_answer_for_several_shards_is_given_again(
    backend: LossyBackend, publisher: Publisher
) -> None:
    """No shard takes the batch twice, and every caller gets its own position."""
    backend.lose = 2
    shards = range(0, 32, 4)
    placed = await asyncio.gather(
        *(publisher.publish(outgoing(1, f"room-of-{shard}", shard)) for shard in shards)
    )
    for shard, place in zip(shards, placed, strict=True):
        held = await backend.history(shard, f"room-of-{shard}", 10)
        assert [place.position] == [Position(offset=one.offset, epoch=one.epoch) for one in held]
    assert publisher.counters.retries == 2


async def test_error_names_the_shard_that_was_published_to(
    backend: LossyBackend, hasty: Publisher
) -> None:
    """And not the first of its bundle, by which Redis was asked."""
    backend.lose = 1_000
    item = outgoing(1, shard=7)
    alone, together = await asyncio.gather(
        hasty.publish(item),
        hasty.publish_together(backend.widest_bundle_of(item.shard), [item]),
        return_exceptions=True,
    )
    (listed,) = await hasty.publish_all(item.shard, [item])
    assert backend.bundle_of(item.shard) != item.shard
    for error in (alone, together, listed):
        assert isinstance(error, ShardUnavailable)
        assert error.shard == item.shard
        assert str(error).startswith("Shard 7 on redis://127.0.0.1")
        assert "answer lost" in str(error)
        assert str(error.__cause__) == "it is gone"


async def test_close_ends_every_caller_with_an_error_of_ours(
    backend: LossyBackend, publisher: Publisher
) -> None:
    """Alone, in a batch, behind it, between two tries: ShardUnavailable, and nobody cancelled."""
    backend.lose = 1_000
    callers = [asyncio.create_task(publisher.publish(outgoing(number))) for number in range(5)]
    callers += [asyncio.create_task(publisher.publish(outgoing(9, "other", SHARD + 1)))]
    await until(lambda: publisher.counters.retries > 0)
    await publisher.aclose()
    results = await asyncio.gather(*callers, return_exceptions=True)
    assert [type(result) for result in results] == [ShardUnavailable] * 6
    assert "the layer was closed" in str(results[0])
    assert [caller.cancelling() for caller in callers] == [0] * 6
