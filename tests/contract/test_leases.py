"""What leases promise, on every place: who has one is told, who has none is forgotten."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence

from shardlayer.aio.tasks import Tasks
from shardlayer.core.options import LayerOptions
from shardlayer.delivery.leases import NodeLeases
from tests.contract.asking import (
    HERE,
    SHARD,
    THERE,
    join,
    listen,
    outgoing,
    publish,
    until_targeted,
)
from tests.contract.conftest import MakeLeases
from tests.waiting import until


async def test_nodes_hear_just_what_they_have_members_for(make_leases: MakeLeases) -> None:
    """Targeted dispatch: a node gets the publications of its own groups, in one batch."""
    brief, here, there = make_leases(lease_ttl=1.0), make_leases(), make_leases()
    hears, overhears = await listen(here, HERE), await listen(there, THERE)
    await join(here, "a")
    await join(there, "b", node=THERE)
    await until_targeted(brief)
    hears.entries.clear()
    overhears.entries.clear()
    await asyncio.gather(here.renew(SHARD, HERE), there.renew(SHARD, THERE))
    items = [outgoing("a", b"1"), outgoing("b", b"2"), outgoing("c", b"3"), outgoing("a", b"4")]
    published = await publish(brief, *items, number=9_999)
    assert published.targeted
    assert published.messages == 2
    assert [entry.payload for entry in await hears.wait_for(2)] == [b"1", b"4"]
    assert [entry.payload for entry in await overhears.wait_for(1)] == [b"2"]
    assert (hears.entries[0].offset, hears.entries[0].name) == (1, "a")


async def test_left_group_is_not_heard(make_leases: MakeLeases) -> None:
    """After `leave` the node is told nothing of the group."""
    brief, leases = make_leases(lease_ttl=1.0), make_leases()
    ear = await listen(leases, HERE)
    await join(leases, "a")
    await join(leases, "b")
    await until_targeted(brief)
    ear.entries.clear()
    await leases.renew(SHARD, HERE)
    await leases.leave(SHARD, HERE, ["a"])
    await publish(brief, outgoing("a", b"1"), outgoing("b", b"2"), number=9_999)
    assert [entry.payload for entry in await ear.wait_for(1)] == [b"2"]


async def test_node_without_a_lease_is_forgotten(make_leases: MakeLeases) -> None:
    """A node that stopped renewing is told nothing and is removed from its groups."""
    brief, leases = make_leases(lease_ttl=0.2), make_leases()
    await join(brief, "a", members=3)
    await join(leases, "a", node=THERE)
    numbers = itertools.count(1)

    async def forgotten() -> bool:
        published = await publish(brief, outgoing("a", b"1"), number=next(numbers))
        return published.targeted > 0 and published.messages == 1

    await until(forgotten)
    assert not await brief.renew(SHARD, HERE)


async def test_lease_tells_whether_it_had_ended(make_leases: MakeLeases) -> None:
    """The first renewal finds no lease, the next one does, and withdrawing ends it."""
    leases = make_leases()
    assert not await leases.renew(SHARD, HERE)
    assert await leases.renew(SHARD, HERE)
    assert (await join(leases, "a")).leased
    await leases.withdraw(SHARD, HERE)
    assert not (await join(leases, "a")).leased


async def test_lease_that_may_have_ended_unseen_counts_as_ended(make_leases: MakeLeases) -> None:
    """A join found it ended, and renewed it, but nobody had the answer. The rooms join again."""
    leases, lapsed, tasks = make_leases(), list[Sequence[int]](), Tasks()
    options = LayerOptions.from_config(shards=SHARD + 1)
    node = NodeLeases(HERE, leases, options, on_lapsed=lapsed.append, tasks=tasks)
    await leases.renew(SHARD, HERE)  # fails where there are none; the node tries for good
    node.begin([SHARD])
    node.tried(range(options.shards))
    await node.settled()
    await leases.withdraw(SHARD, HERE)
    await join(leases, "a")
    await node.renew()
    assert lapsed == [], "within a lease after it was renewed, none can have ended"
    node._renewed_at[SHARD] -= options.lease_ttl
    for _ in range(2):
        await node.renew()
        assert lapsed == [[SHARD]]
    lapsed.clear()
    node._renewed_at[SHARD] -= options.lease_ttl
    node.renewed(SHARD, had_lapsed=True)
    await node.renew()
    assert lapsed == [[SHARD]], "a join has told it, and that is enough"
    await node.aclose()
    await tasks.aclose()
