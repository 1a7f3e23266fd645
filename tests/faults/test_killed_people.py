"""A node with people in rooms is killed: a real process, on a real server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.machine import Placement
from benchmarks.presence.plans import Node
from demo.embedded import EmbeddedValkey
from shardlayer import ShardedChannelLayer
from tests.waiting import until

LEASE = 3.0  # seconds
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


async def test_its_people_go_with_its_lease(redis_server: EmbeddedValkey, dying: Node) -> None:
    """All rooms are vacated once, as soon as the lease ends; who is elsewhere stays."""
    layer = ShardedChannelLayer(hosts=[redis_server.url], lease_ttl=LEASE)
    turned: list[tuple[str, bool]] = []
    layer.room_watchers.add(lambda room, is_in: turned.append((room, is_in)))
    (await layer.node()).presence.watch()
    assert (await layer.presence("lobby")).people == 1
    assert (await layer.presence(ROOMS[0])).people == 1
    await asyncio.to_thread(dying.stop)
    killed = time.monotonic()
    await until(lambda: len(turned) == len(ROOMS) + 1)
    assert sorted(turned) == sorted((room, False) for room in [*ROOMS, "lobby"])
    assert time.monotonic() - killed > LEASE / 3  # not by chance, before the lease ended
    for room in ("lobby", ROOMS[0], ROOMS[-1]):
        assert (await layer.presence(room)).people == 0
    assert len(turned) == len(ROOMS) + 1
    await layer.close()
