"""How many members rooms have is told in small parts, and again where that failed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import cast

from shardlayer.aio.tasks import Tasks
from shardlayer.aio.time_slices import TimeSlices
from shardlayer.broker.interface import Leases
from shardlayer.core.exceptions import ShardUnavailable
from shardlayer.core.options import LayerOptions
from shardlayer.core.types import NodeId
from shardlayer.delivery.member_reports import ROOMS_PER_CALL, MemberCounts
from shardlayer.delivery.room import LocalRoom
from tests.shardlayer.fakes import RecordingSink

SHARDS = 8
ROOMS = 2_000


class CountingLeases:
    """Notes what is reported, and in which turn of the event loop."""

    def __init__(self) -> None:
        self.turn = 0
        self.told: list[tuple[int, int, dict[str, int]]] = []  # turn, shard, members
        self.away: set[int] = set()

    async def report(self, shard: int, node: NodeId, members: Mapping[str, int]) -> None:
        self.told.append((self.turn, shard, dict(members)))
        await asyncio.sleep(0)
        if shard in self.away:
            raise ShardUnavailable(shard=shard, server="here", reason="it is away")

    async def count(self) -> None:
        """Count the turns of the event loop."""
        while True:
            self.turn += 1
            await asyncio.sleep(0)


def counts_of(leases: CountingLeases) -> MemberCounts:
    """Return the counts of a node in many rooms."""
    counts = MemberCounts(
        NodeId("node"), cast(Leases, leases), LayerOptions(), turns=TimeSlices(), tasks=Tasks()
    )
    for number in range(ROOMS):
        room = LocalRoom(f"room{number}")
        sink = RecordingSink()
        room.sinks[sink] = sink
        counts.changed(number % SHARDS, room)
    return counts


async def test_many_rooms_hold_up_nobody() -> None:
    """In no turn of the event loop more than some dozens of them are told, and each once."""
    leases = CountingLeases()
    counts = counts_of(leases)
    counting = asyncio.create_task(leases.count())
    await counts.report()
    counting.cancel()
    turns = [turn for turn, _, _ in leases.told]
    assert len(set(turns)) == len(turns) == ROOMS // ROOMS_PER_CALL
    assert all(len(members) <= ROOMS_PER_CALL for _, _, members in leases.told)
    names = [name for _, _, members in leases.told for name in members]
    assert len(names) == len(set(names)) == ROOMS
    del leases.told[:]
    await counts.report()
    assert leases.told == []


async def test_a_shard_that_is_away_is_told_later() -> None:
    """With all that it was not told, and it holds up no other."""
    leases = CountingLeases()
    leases.away = {3}
    counts = counts_of(leases)
    await counts.report()
    assert [shard for _, shard, _ in leases.told].count(3) == 1
    told = {name for _, shard, members in leases.told if shard != 3 for name in members}
    assert len(told) == ROOMS - ROOMS // SHARDS
    leases.away = set()
    del leases.told[:]
    await counts.report()
    assert {shard for _, shard, _ in leases.told} == {3}
    assert sum(len(members) for _, _, members in leases.told) == ROOMS // SHARDS


async def test_who_has_left_meanwhile_is_not_told() -> None:
    """A room without members may be forgotten already, there too."""
    leases = CountingLeases()
    counts = counts_of(leases)
    for room in list(counts._changed.values())[::2]:
        room.sinks.clear()
    await counts.report()
    assert sum(len(members) for _, _, members in leases.told) == ROOMS // 2
