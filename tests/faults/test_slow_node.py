"""A node that is too slow for what is published goes on from the histories, in order and once."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from redis import Redis

from demo.embedded import EmbeddedValkey
from shardlayer.core.frames import Broadcast
from shardlayer.layer import ShardedChannelLayer
from tests.shardlayer.fakes import RecordingSink
from tests.waiting import until

ROOM = "general"
PLAIN = "plain"
KEEPS_ALL = {PLAIN: None, "*": {"size": 1_000_000, "ttl": 600}}
PADDING = "x" * 500
PATIENCE = 120.0  # seconds, on a machine whose cores are busy with something else

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


class SlowSink(RecordingSink):
    """Holds the event loop up for a while with every message."""

    def __init__(self, pause: float) -> None:
        super().__init__()
        self._pause = pause  # seconds

    def write(self, broadcast: Broadcast) -> None:
        time.sleep(self._pause * len(broadcast.texts))
        super().write(broadcast)


class Flood:
    """Publishes numbers to a room from a thread of its own, as another process would."""

    def __init__(self, url: str, room: str, count: int, padding: str = PADDING) -> None:
        self.finished = False
        self._url = url
        self._room = room
        self._count = count
        self._padding = padding
        self._thread = threading.Thread(target=lambda: asyncio.run(self._publish()))
        self._thread.start()

    async def _publish(self) -> None:
        # A publisher that gives up would end the flood: here the reader is tested.
        layer = ShardedChannelLayer(hosts=[self._url], history=KEEPS_ALL, publish_timeout=60)
        items = [(self._room, message(number, self._padding)) for number in range(self._count)]
        for start in range(0, self._count, 1_000):
            await layer.publish_many(items[start : start + 1_000])
        await layer.close()
        self.finished = True

    def join(self) -> None:
        """Wait until all is published, and hold this thread up meanwhile."""
        self._thread.join()


def message(number: int, padding: str = PADDING) -> bytes:
    return orjson.dumps([number, padding])


@asynccontextmanager
async def layer_on(url: str, **config: Any) -> AsyncIterator[ShardedChannelLayer]:
    layer = ShardedChannelLayer(hosts=[url], history=KEEPS_ALL, **config)
    try:
        yield layer
    finally:
        await layer.close()


def received(sink: RecordingSink) -> list[object]:
    pushes = map(orjson.loads, sink.texts)
    return ["reset" if "reset" in push else push["data"][0] for push in pushes]


async def join(layer: ShardedChannelLayer, room: str, sink: RecordingSink) -> None:
    (await (await layer.node()).join(room, sink)).release()


@pytest.fixture
def small_buffers(tmp_path: Path) -> Iterator[EmbeddedValkey]:
    """A server that ends a subscriber for which more than 1 MB waits."""
    limit = ("--client-output-buffer-limit", "pubsub 1mb 1mb 1")
    with EmbeddedValkey(directory=tmp_path, options=limit) as valkey:
        yield valkey


async def test_flood_that_a_node_can_not_keep_up_with(redis_server: EmbeddedValkey) -> None:
    """What waits stays bounded, Redis has nothing to hold, and each message comes once, in order.

    The sink takes 5,000 messages a second; far more are published.
    """
    count = 12_000
    most = 0
    async with layer_on(redis_server.url, max_backlog=1_000_000) as layer:
        sink = SlowSink(pause=0.0002)
        await join(layer, ROOM, sink)
        hub = (await layer.node())._rooms.hub_of(ROOM)
        flood = Flood(redis_server.url, ROOM, count)

        def all_came() -> bool:
            nonlocal most
            most = max(most, hub.backlog)
            return len(sink.texts) >= count

        await until(all_came, within=PATIENCE)
        flood.join()
        assert received(sink) == list(range(count))
        assert layer.stats()["backlog_overflows"] > 0
        # What was admitted from the history comes on top, a page at a time.
        assert most < 3_000_000
        with Redis.from_url(redis_server.url) as redis:
            assert redis.info("stats")["client_output_buffer_limit_disconnections"] == 0


async def test_room_without_history_says_what_it_lost(
    redis_server: EmbeddedValkey, caplog: pytest.LogCaptureFixture
) -> None:
    """There is nothing to catch up from: what is dropped is counted, and said with its shard."""
    count = 6_000
    async with layer_on(redis_server.url, max_backlog=100_000) as layer:
        sink = SlowSink(pause=0.0005)
        await join(layer, PLAIN, sink)
        flood = Flood(redis_server.url, PLAIN, count)
        await until(
            lambda: flood.finished and len(sink.texts) + layer.stats()["dropped"] >= count,
            within=PATIENCE,
        )
        got = received(sink)
        dropped = layer.stats()["dropped"]
        assert dropped > 0
        assert len(got) + dropped == count
        assert got == sorted(set(map(int, map(str, got))))
        assert f"Shard {layer.shard_of(PLAIN)}: this process is too slow" in caplog.text


async def test_subscriber_that_redis_ends_for_its_backlog(small_buffers: EmbeddedValkey) -> None:
    """A loop that stood still too long is cut off, connects again and misses nothing."""
    count = 25_000
    padding = "x" * 4_000  # 100 MB: a kernel's buffers of both ends hold up to 38
    async with layer_on(small_buffers.url) as layer:
        sink = RecordingSink()
        await join(layer, ROOM, sink)
        await layer.publish(ROOM, orjson.dumps(["first", PADDING]))
        await until(lambda: sink.texts)
        flood = Flood(small_buffers.url, ROOM, count, padding)
        flood.join()  # the loop stands still: nothing is read
        await until(lambda: len(sink.texts) > count, within=PATIENCE)
        assert received(sink) == ["first", *range(count)]
        with Redis.from_url(small_buffers.url) as redis:
            assert redis.info("stats")["client_output_buffer_limit_disconnections"] > 0
