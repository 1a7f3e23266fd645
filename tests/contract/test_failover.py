"""What a failover behind Sentinels loses, and that it is never hidden."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import orjson
import pytest
from redis import Redis

from demo.embedded import EmbeddedValkey
from demo.embedded.ports import LOOPBACK
from shardlayer.core.types import Position
from shardlayer.layer import ShardedChannelLayer
from tests.contract.places import SentinelPlace, sentinel
from tests.shardlayer.fakes import RecordingSink
from tests.waiting import PATIENCE, until, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ROOM = "general"
PROMOTION = 3 * PATIENCE  # seconds; Sentinels that stood still do nothing for 30 s


@pytest.fixture
def group_of_servers(tmp_path: Path) -> Iterator[SentinelPlace]:
    """A primary, a replica and three Sentinels, for one test."""
    with sentinel(tmp_path, down_after=2_000) as place:
        yield place


async def make_layer(place: SentinelPlace, **config: object) -> ShardedChannelLayer:
    return ShardedChannelLayer(**place.config, publish_timeout=200.0, **config)


async def join(layer: ShardedChannelLayer) -> RecordingSink:
    sink = RecordingSink()
    (await (await layer.node()).join(ROOM, sink)).release()
    return sink


def received(sink: RecordingSink) -> list[object]:
    pushes = map(orjson.loads, sink.texts)
    return ["reset" if "reset" in push else push["data"] for push in pushes]


def the_replica(place: SentinelPlace) -> EmbeddedValkey:
    """Return the server that copies the primary."""
    primary = place.primary()
    (replica,) = (
        server
        for server in place.servers
        if isinstance(server, EmbeddedValkey) and server is not primary
    )
    return replica


async def fail_over(place: SentinelPlace) -> EmbeddedValkey:
    """Kill the primary and return it once the Sentinels have promoted the replica."""
    old = place.primary()
    old.kill()
    await asyncio.to_thread(wait_until, lambda: place.primary() is not old, within=PROMOTION)
    return old


@pytest.fixture
async def layers() -> AsyncIterator[list[ShardedChannelLayer]]:
    """Layers to close after the test."""
    made: list[ShardedChannelLayer] = []
    yield made
    for layer in made:
        await layer.close()


async def test_nothing_acknowledged_is_lost_when_publications_wait(
    group_of_servers: SentinelPlace, layers: list[ShardedChannelLayer], tmp_path: Path
) -> None:
    """With wait_replicas a failover in the middle is a pause: all arrive, in order, once."""
    layer = await make_layer(group_of_servers, wait_replicas=1)
    layers.append(layer)
    sink = await join(layer)
    acknowledged = 0

    async def publish_on() -> None:
        nonlocal acknowledged
        while True:
            await layer.publish(ROOM, b"%d" % acknowledged)
            acknowledged += 1

    publishing = asyncio.create_task(publish_on())
    await until(lambda: acknowledged > 50)
    await fail_over(group_of_servers)
    before = acknowledged
    # Without a replica nothing is acknowledged.
    replica_of = ("--replicaof", f"{LOOPBACK} {group_of_servers.primary().port}")
    replica = EmbeddedValkey(directory=tmp_path / "second-replica", options=replica_of)
    await asyncio.to_thread(replica.start)
    try:
        await until(lambda: acknowledged >= before + 50, within=PROMOTION)
    finally:
        replica.stop()
    publishing.cancel()
    await asyncio.wait([publishing])
    await until(lambda: len(sink.texts) >= acknowledged)
    assert received(sink)[:acknowledged] == list(range(acknowledged))


async def test_failover_that_loses_nothing_is_not_seen(
    group_of_servers: SentinelPlace, layers: list[ShardedChannelLayer]
) -> None:
    """Once the replica has all, nobody is told, and nobody gets anything twice."""
    layer = await make_layer(group_of_servers)
    layers.append(layer)
    sink = await join(layer)
    position = None
    for number in range(20):
        position = await layer.publish(ROOM, b"%d" % number)
    primary = group_of_servers.primary()
    with Redis.from_url(primary.url) as client:
        written = client.info("replication")["master_repl_offset"]
    with Redis.from_url(the_replica(group_of_servers).url) as client:
        await until(lambda: client.info("replication")["slave_repl_offset"] >= written)
    await fail_over(group_of_servers)
    for number in range(20, 40):
        await layer.publish(ROOM, b"%d" % number)
    await until(lambda: len(sink.texts) >= 40)
    assert received(sink) == list(range(40))
    back = await (await layer.node()).join(ROOM, RecordingSink(), position)
    assert back.recovered
    assert [int(each.data) for each in back.publications] == list(range(20, 40))


async def test_what_a_failover_loses_is_told(
    group_of_servers: SentinelPlace, layers: list[ShardedChannelLayer]
) -> None:
    """Without waiting, lost writes show as a new epoch: to members, and to those who come back."""
    layer = await make_layer(group_of_servers)
    layers.append(layer)
    sink = await join(layer)
    await layer.publish(ROOM, b"0")
    await asyncio.sleep(0.5)  # replicated meanwhile
    primary, replica = group_of_servers.primary(), the_replica(group_of_servers)
    assert replica.pid is not None
    os.kill(replica.pid, signal.SIGSTOP)
    position = None
    for number in (1, 2, 3):
        position = await layer.publish(ROOM, b"%d" % number)
    await until(lambda: len(sink.texts) == 4)
    primary.kill()
    os.kill(replica.pid, signal.SIGCONT)
    await asyncio.to_thread(
        wait_until, lambda: group_of_servers.primary() is not primary, within=PROMOTION
    )
    after = await layer.publish(ROOM, b"4")
    await until(lambda: 4 in received(sink))
    assert received(sink)[:5] == [0, 1, 2, 3, "reset"]
    assert isinstance(position, Position)
    assert isinstance(after, Position)
    back = await (await layer.node()).join(ROOM, RecordingSink(), position)
    assert not back.recovered
