"""Nodes of a Cluster that say nothing, as where a network swallows packets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from demo.embedded import EmbeddedValkey
from shardlayer.broker.redis import cluster
from shardlayer.broker.redis.cluster import ClusterServers
from shardlayer.broker.redis.command_link import CommandLink
from shardlayer.core.exceptions import ShardUnavailable
from shardlayer.core.hosts import Host
from shardlayer.core.options import LayerOptions
from shardlayer.core.sharding import hash_tags, slot_of
from shardlayer.layer import ShardedChannelLayer
from tests.contract.bare import OPTIONS, bare_cluster
from tests.contract.places import ClusterPlace, tell
from tests.frozen import frozen
from tests.waiting import PATIENCE, until

LONG = 5 * PATIENCE  # seconds that a reply may take: what waits for a silent node is seen
SHARDS = 32
SLOTS = [slot_of(tag) for tag in hash_tags("rt", SHARDS)]


@pytest.fixture
def two(tmp_path: Path) -> Iterator[ClusterPlace]:
    """Two primaries."""
    with bare_cluster(tmp_path, 2) as place:
        yield place


def frozen_node(server: EmbeddedValkey) -> Any:
    """Have a node say nothing while the context lasts."""
    assert server.pid is not None
    return frozen([server.pid])


@asynccontextmanager
async def cluster_of(servers: Sequence[EmbeddedValkey]) -> AsyncIterator[ClusterServers]:
    """The Cluster that some nodes tell of, and no task left behind."""
    before = asyncio.all_tasks()
    hosts = tuple(Host(url=server.url) for server in servers)
    made = ClusterServers(LayerOptions(hosts=hosts, cluster=True, publish_timeout=LONG))
    try:
        yield made
    finally:
        await made.aclose()
    assert asyncio.all_tasks() <= before


def by_address(place: ClusterPlace) -> list[EmbeddedValkey]:
    """Return the nodes in the order in which owners of slots are asked."""
    return sorted(place.valkeys(), key=lambda server: server.address)


def slots_of(server: EmbeddedValkey) -> list[int]:
    """Return the slots of shards that a node of two has, as it says."""
    with Redis.from_url(server.url) as client:
        (mine,) = (entry for entry in tell(client, "SLOTS") if entry[2][1] == server.port)
    return [slot for slot in SLOTS if mine[0] <= slot <= mine[1]]


def times_asked(server: EmbeddedValkey) -> int:
    """Return how often a node was asked for its map."""
    with Redis.from_url(server.url) as client:
        found: dict[str, Any] = client.info("commandstats")
    return int(found.get("cmdstat_cluster|slots", {"calls": 0})["calls"])


def under_way() -> list[str]:
    """Return the names of tasks that ask a node for its map."""
    names = (task.get_name() for task in asyncio.all_tasks())
    return [name for name in names if name.endswith("for the map")]


async def ping(link: CommandLink) -> Any:
    """Send something that every node answers."""
    return await link.execute("PING")


async def test_first_node_is_silent_when_a_process_starts(two: ClusterPlace) -> None:
    """The other shards can be used long before `publish_timeout`."""
    silent, other = two.valkeys()
    shard = SLOTS.index(slots_of(other)[0])
    async with cluster_of([silent, other]) as servers:
        with frozen_node(silent):
            async with asyncio.timeout(PATIENCE):
                assert await servers.run(shard, ping)
            assert servers.address_of(shard).endswith(f":{other.port}")
            assert under_way() == []


async def test_first_node_falls_silent(two: ClusterPlace) -> None:
    """Its connection stands. What it answers late is no other command's reply."""
    silent, other = by_address(two)
    async with cluster_of([silent, other]) as servers:
        servers._head_start = PATIENCE  # it tells first, however slowly
        async with asyncio.timeout(PATIENCE):
            for shard in range(SHARDS):
                await servers.run(shard, ping)
        asked = times_asked(silent)
        servers._head_start = 0.2
        with frozen_node(silent):
            async with asyncio.timeout(PATIENCE):
                await servers._learn()
            assert under_way() == []
            shard = SLOTS.index(slots_of(other)[0])
            async with asyncio.timeout(PATIENCE):
                assert await servers.run(shard, ping)
            shard = SLOTS.index(next(slot for slot in SLOTS if slot not in slots_of(other)))
            late = asyncio.create_task(servers.run(shard, ping))
        async with asyncio.timeout(PATIENCE):
            assert await late in (b"PONG", True)
            assert await servers.run(shard, lambda link: link.execute("ECHO", "x")) == b"x"
        assert times_asked(silent) == asked + 1


async def test_who_told_last_is_asked_first(two: ClusterPlace) -> None:
    """So a silent node costs one reading, and not each."""
    silent, other = by_address(two)
    async with cluster_of([silent, other]) as servers:
        with frozen_node(silent):
            async with asyncio.timeout(PATIENCE):
                await servers._learn()
        before = times_asked(silent), times_asked(other)
        servers._head_start = PATIENCE  # nobody else is asked because this one is slow
        async with asyncio.timeout(PATIENCE):
            for _ in range(3):
                await servers._learn()
        assert (times_asked(silent), times_asked(other)) == (before[0], before[1] + 3)


async def test_silent_node_while_nobody_serves_some_slot(two: ClusterPlace) -> None:
    """No map is complete then; the one that there is, is taken."""
    silent, other = two.valkeys()
    mine = slots_of(other)
    for client in two.clients():
        tell(client, "DELSLOTS", mine[0])
        client.close()
    async with cluster_of([silent, other]) as servers:
        with frozen_node(silent):
            async with asyncio.timeout(PATIENCE):
                assert await servers.run(SLOTS.index(mine[1]), ping)


@pytest.fixture
def lone(tmp_path: Path) -> Iterator[EmbeddedValkey]:
    """A node that has left the Cluster and says that it serves one of its slots."""
    with EmbeddedValkey(directory=tmp_path / "lone", options=OPTIONS) as server:
        with Redis.from_url(server.url) as client:
            tell(client, "ADDSLOTS", SLOTS[0])
        yield server


async def test_map_that_takes_slots_away_waits_for_silent_nodes(
    two: ClusterPlace, lone: EmbeddedValkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node that left knows less than those that stand still for a moment."""
    monkeypatch.setattr(cluster, "CONNECT_TIMEOUT", 0.1)
    async with cluster_of([*two.valkeys(), lone]) as servers:
        async with asyncio.timeout(PATIENCE):
            await servers._learn()
        owners = dict(servers._owners)
        assert owners.keys() == servers._wanted
        asked = times_asked(lone)
        with ExitStack() as stack:
            for server in two.valkeys():
                stack.enter_context(frozen_node(server))
            learning = asyncio.create_task(servers._learn())
            await until(lambda: times_asked(lone) > asked)
            await until(lambda: len(under_way()) == 2)
            assert not learning.done()
        async with asyncio.timeout(PATIENCE):
            await learning
        assert servers._owners == owners


async def test_all_nodes_are_silent(two: ClusterPlace) -> None:
    """The caller is told why, and closing ends while the nodes are silent."""
    with ExitStack() as stack:
        for server in two.valkeys():
            stack.enter_context(frozen_node(server))
        layer = ShardedChannelLayer(
            hosts=[server.url for server in two.valkeys()], cluster=True, publish_timeout=0.5
        )
        layer.use_running_loop()
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(ShardUnavailable):
                await layer.publish("general", b"1")
            await layer.close()


@pytest.mark.parametrize("ends", ["close", "cancel"])
async def test_reading_that_ends_before_a_silent_node_answers(two: ClusterPlace, ends: str) -> None:
    """What was asked ends with it."""
    end: dict[str, Callable[[ClusterServers], Awaitable[object]]] = {
        "close": lambda servers: servers.aclose(),
        "cancel": lambda servers: servers._tasks.aclose(),
    }
    with ExitStack() as stack:
        for server in two.valkeys():
            stack.enter_context(frozen_node(server))
        async with cluster_of(two.valkeys()) as servers:
            learning = asyncio.create_task(servers._learn())
            await until(lambda: len(under_way()) == 2)
            async with asyncio.timeout(PATIENCE):
                await end[ends](servers)
                await asyncio.wait([learning])
            assert learning.exception() is not None
            assert under_way() == []
