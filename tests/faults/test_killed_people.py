"""A node with people in rooms is killed: a real process, on a real server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from benchmarks.machine import Placement
from benchmarks.presence.plans import Node
from demo.embedded import EmbeddedValkey
from shardlayer import ShardedChannelLayer
from shardlayer.broker.presence_values import LEASE_MARGIN
from shardlayer.broker.redis.keys import ShardKeys
from shardlayer.core.sharding import hash_tags
from tests.waiting import until

pytestmark = pytest.mark.slow

LEASE = 8.0  # seconds
NOTICED = 10.0  # seconds after the end of a lease
ROOMS = [f"r{number}" for number in range(60)]


@pytest.fixture
def dying(redis_server: EmbeddedValkey, tmp_path: Path) -> Iterator[Node]:
    """A node in a process of its own, with a person in each room, and one in the lobby."""
    placement = Placement.of_machine()
    with Node("dying", redis_server.url, placement, tmp_path, lease=LEASE) as node:
        node.do("open")
        people = [f"p{number}" for number in range(len(ROOMS))]
        node.do("join", rooms=[*ROOMS, "lobby"], persons=[*people, "ada"], rate=0, seen=True)
        yield node


def clock(redis: Redis) -> float:
    """Return the time by Redis's clock, in seconds."""
    seconds, microseconds = redis.time()
    return float(seconds + microseconds / 1e6)


def leases(redis: Redis, layer: ShardedChannelLayer) -> dict[bytes, list[float]]:
    """Return when each node's leases on the shards end, by Redis's clock."""
    ends: dict[bytes, list[float]] = {}
    for tag in hash_tags(layer.options.prefix, layer.options.shards):
        found: Any = redis.zrange(ShardKeys(tag).alive, 0, -1, withscores=True)
        for node, end in found:
            ends.setdefault(node, []).append(end / 1_000)
    return ends


async def test_its_people_go_with_its_lease(redis_server: EmbeddedValkey, dying: Node) -> None:
    """All rooms are vacated once, as soon as the lease ends; who is elsewhere stays.

    What counts is the end of the lease that Redis has, and Redis's clock. The other node has
    10 s to notice it; on a machine that is not busy it needs 0.1 s.
    """
    layer = ShardedChannelLayer(hosts=[redis_server.url], lease_ttl=LEASE)
    turned: list[tuple[str, bool]] = []
    layer.room_watchers.add(lambda room, is_in: turned.append((room, is_in)))
    with Redis.from_url(redis_server.url) as redis:
        (its_name,) = leases(redis, layer)
        (await layer.node()).presence.watch()
        assert (await layer.presence("lobby")).people == 1
        assert (await layer.presence(ROOMS[0])).people == 1
        await asyncio.to_thread(dying.stop)
        killed, ends = clock(redis), leases(redis, layer)[its_name]
        assert max(ends) <= killed + LEASE
        await until(lambda: len(turned) == len(ROOMS) + 1)
        vacated = clock(redis)
    assert sorted(turned) == sorted((room, False) for room in [*ROOMS, "lobby"])
    # By design a lease counts as over a little before its end.
    assert min(ends) - LEASE_MARGIN * LEASE <= vacated < max(ends) + NOTICED
    for room in ("lobby", ROOMS[0], ROOMS[-1]):
        assert (await layer.presence(room)).people == 0
    assert len(turned) == len(ROOMS) + 1
    await layer.close()
