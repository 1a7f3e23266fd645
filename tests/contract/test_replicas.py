"""Publications that wait for replicas hold up nothing else, and share their waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from statistics import median

import pytest
from redis import Redis

from demo.embedded import EmbeddedValkey
from shardlayer.core.exceptions import ShardUnavailable
from shardlayer.layer import ShardedChannelLayer
from tests.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def replica(redis_server: EmbeddedValkey, tmp_path: Path) -> Iterator[EmbeddedValkey]:
    """A replica of the server, in step with it."""
    with EmbeddedValkey(directory=tmp_path) as server:
        with Redis.from_url(server.url) as redis:
            redis.replicaof("127.0.0.1", str(redis_server.port))
            wait_until(lambda: redis.info("replication")["master_link_status"] == "up")
        yield server


@pytest.fixture
async def layer(redis_server: EmbeddedValkey) -> AsyncIterator[ShardedChannelLayer]:
    """A layer that waits for one replica."""
    made = ShardedChannelLayer(hosts=[redis_server.url], wait_replicas=1, publish_timeout=20.0)
    yield made
    await made.close()


@pytest.fixture
async def impatient(redis_server: EmbeddedValkey) -> AsyncIterator[ShardedChannelLayer]:
    """A layer that does not wait long for it."""
    made = ShardedChannelLayer(hosts=[redis_server.url], wait_replicas=1, publish_timeout=8.0)
    yield made
    await made.close()


def calls(server: EmbeddedValkey, command: str) -> int:
    """Return how often a server was given a command."""
    with Redis.from_url(server.url) as redis:
        return int(redis.info("commandstats").get(f"cmdstat_{command}", {"calls": 0})["calls"])


async def test_missing_replica_is_told_and_holds_up_nothing_else(
    impatient: ShardedChannelLayer,
) -> None:
    """Of 32 shards that wait in vain, all are told in time; the server answers meanwhile."""
    await impatient.ping()
    began = asyncio.get_running_loop().time()
    publishing = [
        asyncio.create_task(impatient.publish(f"room-{number}", b"1")) for number in range(64)
    ]
    answers: list[float] = []
    while not all(task.done() for task in publishing):
        (answer,) = (await impatient.ping(PATIENCE)).values()
        assert isinstance(answer, float)
        answers.append(answer)
        await asyncio.sleep(0.02)
    errors = await asyncio.gather(*publishing, return_exceptions=True)
    assert asyncio.get_running_loop().time() - began < 60.0  # one after another: 256
    assert all(isinstance(error, ShardUnavailable) for error in errors)
    assert "0 of 1 replicas have the publications" in str(errors[0])
    # One WAIT lasts 0.25 s, and there are many. A busy machine may be late with one answer.
    assert median(answers) < 1.0


async def test_batches_share_their_waits(
    layer: ShardedChannelLayer, redis_server: EmbeddedValkey, replica: EmbeddedValkey
) -> None:
    """What 32 shards publish at once is on the replica when it is acknowledged."""
    rooms = [f"room-{number}" for number in range(400)]
    before = calls(redis_server, "wait")
    positions = await asyncio.gather(*(layer.publish(room, b"1") for room in rooms))
    assert all(position is not None and position.offset == 1 for position in positions)
    assert 1 <= calls(redis_server, "wait") - before < 32
    with Redis.from_url(replica.url) as redis:
        assert sum(1 for _ in redis.scan_iter(match="*:history:*")) == 400


async def test_batch_that_the_server_lost_is_published_again(
    layer: ShardedChannelLayer, redis_server: EmbeddedValkey, replica: EmbeddedValkey
) -> None:
    """Once a replica has the later one, the earlier publication's answer would not be true."""
    with Redis.from_url(redis_server.url) as redis:
        await layer.publish("general", b"1")
        redis.flushdb()
        position = await layer.publish("general", b"2")
    assert position is not None
    assert [each.data for each in await layer.history("general")] == [b"2"]
