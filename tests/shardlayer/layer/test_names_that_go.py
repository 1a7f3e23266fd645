"""Whatever is kept by a name goes with its name: nothing grows with those that were ever used."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from demo.embedded import EmbeddedValkey
from shardlayer.broker.memory import store
from shardlayer.broker.presence_values import Attendee
from shardlayer.core.client_names import ClientName
from shardlayer.layer import ShardedChannelLayer
from shardlayer.layer.node import Node
from tests.shardlayer.fakes import FakeClock, RecordingSink
from tests.waiting import until

NAMES = 50_000  # in a round
FEWER = 10_000  # of the kinds whose names take several calls each; more would take 15 s
ROUNDS = 5  # at most; each finds the memory that the one before has left to Python
AT_ONCE = 500  # calls
TOLERANCE = 350  # bytes of RSS for each name
EXPIRY = 0.2  # seconds
LATER = 40 * 86_400.0  # seconds; after all that is kept


def rss() -> int:
    """Return the bytes of memory that this process has."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def sizes(node: Node, server: store.MemoryServer) -> dict[str, int]:
    """Return how much is kept by names."""
    mailboxes, rooms = node.mailboxes, node._rooms
    attendance, events = node.presence.attendance, node.presence.events
    kept = {
        "rooms": node.rooms(),
        "idle": len(rooms._idle._ends),
        "changed": len(node._counts._changed),
        "leaving": len(node._registration._leaving),
        "entries": len(rooms._entries),
        "orders taken": len(node.orders),
        "discarded": len(node.memberships._leaving) + len(node.memberships._echoes),
        "mailboxes": len(mailboxes),
        "kept mailboxes": len(mailboxes._kept),
        "told mailboxes": len(mailboxes._changed) + len(mailboxes._expiring),
        "reentries": sum(
            len(names)
            for queues in (
                rooms._reentry._due,
                rooms._reentry._large,
                rooms._reentry._doubted,
            )
            for names in queues
        ),
        "clients": len(rooms.clients),
        "calm rooms": len(rooms._calm),
        "calm windows": sum(len(hub.calm.due) + len(hub.calm._before) for hub in rooms.hubs),
        "calm bytes": sum(hub.calm.size for hub in rooms.hubs),
        "attendees": len(attendance) + sum(len(roll.changes) for roll in attendance._rolls),
        "uncounted": sum(len(roll.uncounted) for roll in attendance._rolls),
        "lingering": len(attendance._lingering),
        "presence events": len(events._waiting) + len(events._due) + len(events._timers),
    }
    for shard in list(server.shards.values()):
        for name in ("groups", "queues", "waiting", "held", "once", "people", "answers", "orders"):
            kept[name] = kept.get(name, 0) + len(getattr(shard, name))
        # A node has a roster in each shard, even while nobody is there.
        there = sum(len(roster.attendees) for roster in shard.rosters.values())
        kept["rosters"] = kept.get("rosters", 0) + there
    return kept


class World:
    """A layer in memory, whose server's clock can be put forward."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.names = 0  # in the last round
        url = f"memory://{uuid4().hex}"
        self.server = store.server(url)
        self.server.clock = self.clock
        config: dict[str, Any] = {"hosts": [url], "linger": 0.05, "group_expiry": EXPIRY}
        self.layer = ShardedChannelLayer(
            **config,
            expiry=EXPIRY,
            lease_ttl=1e9,
            calm={"calm*": {"max_rate": 5}},  # so rooms are forgotten while something waits
            presence_linger=0.05,
        )

    async def each(self, call: Callable[[int], Awaitable[object]]) -> None:
        """Make a call for every name, some hundred at a time."""
        for numbers in self.parts():
            await asyncio.gather(*map(call, numbers))

    def parts(self, names: int = NAMES) -> Iterator[range]:
        """Return the numbers of so many names, some hundred at a time."""
        self.names = names
        for start in range(0, names, AT_ONCE):
            yield range(start, start + AT_ONCE)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    yield made
    await made.layer.close()


@pytest.fixture
def _collects_seldom() -> Iterator[None]:
    """Python looks for cycles when memory is measured, not all the while: two fifths of the CPU."""
    gc.disable()
    yield
    gc.enable()


async def use_rooms(world: World) -> None:
    """Members come and go."""
    node = await world.layer.node()

    async def come_and_go(number: int) -> None:
        sink = RecordingSink()
        (await node.join(f"room{number}", sink)).release()
        node.leave(f"room{number}", sink)

    await world.each(come_and_go)


async def use_groups(world: World) -> None:
    """A consumer joins, and dies without a word."""
    channel = await world.layer.new_channel()
    await world.each(lambda number: world.layer.group_add(f"group{number}", channel))


async def use_gone_channels(world: World) -> None:
    """Each is of a process that is gone."""
    await world.each(lambda number: world.layer.group_add("group", f"specific.gone{number}!1"))


async def use_discards(world: World) -> None:
    """Members are discarded while a message is on its way."""
    channel = await world.layer.new_channel()

    async def send_and_discard(number: int) -> None:
        await world.layer.group_add(f"group{number}", channel)
        await world.layer.group_send(f"group{number}", {"type": "x"})
        await world.layer.group_discard(f"group{number}", channel)

    for numbers in world.parts(FEWER):
        await asyncio.gather(*map(send_and_discard, numbers))


async def use_channels(world: World) -> None:
    """Each is named and sent to, and nobody receives."""

    async def name_and_send(number: int) -> None:
        await world.layer.send(await world.layer.new_channel(), {"type": "x"})

    await world.each(name_and_send)


async def use_normal_channels(world: World) -> None:
    """Messages for workers that never come."""
    await world.each(lambda number: world.layer.send(f"worker{number}", {"type": "x"}))


async def use_histories(world: World) -> None:
    """Each room has one publication, with a key, and nobody in it."""
    await world.each(
        lambda number: world.layer.publish(f"history{number}", b"1", idempotency_key="k")
    )


async def join_each(node: Node, kind: str, numbers: range) -> dict[str, RecordingSink]:
    """Return rooms of a kind and the member that each has now."""
    sinks = {f"{kind}{number}": RecordingSink() for number in numbers}
    for joined in await asyncio.gather(*(node.join(room, sinks[room]) for room in sinks)):
        joined.release()
    return sinks


async def until_told(sinks: dict[str, RecordingSink]) -> None:
    """Wait until every member was written something."""
    await until(lambda: all(sink.texts for sink in sinks.values()))


async def use_presence(world: World) -> None:
    """People come to rooms of their own, are told of themselves, and go."""
    node = await world.layer.node()
    for numbers in world.parts(FEWER):
        sinks = await join_each(node, "peopled", numbers)
        people = [Attendee(room, "ada", node.name_client(sink)) for room, sink in sinks.items()]
        for attendee in people:
            node.presence.come(attendee)
        await until_told(sinks)
        for attendee in people:
            node.presence.go(attendee)
            node.unname_client(ClientName(attendee.connection))
            node.leave(attendee.room, sinks[attendee.room])


async def use_calm(world: World) -> None:
    """Members leave calm rooms, in which something waits."""
    node = await world.layer.node()
    before = node.counters().delayed
    for numbers in world.parts(FEWER):
        sinks = await join_each(node, "calm", numbers)
        await asyncio.gather(*(world.layer.publish(room, b"1") for room in sinks))
        await until_told(sinks)
        await asyncio.gather(*(world.layer.publish(room, b"2") for room in sinks))

        def was_heard(sinks: dict[str, RecordingSink] = sinks) -> bool:
            rooms = map(node._rooms.find, sinks)
            return all(room and room.position and room.position.offset == 2 for room in rooms)

        await until(was_heard)
        for room, sink in sinks.items():
            node.leave(room, sink)
    assert node.counters().delayed > before


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("_collects_seldom")
@pytest.mark.parametrize(
    "use",
    [
        *(use_rooms, use_groups, use_channels, use_normal_channels, use_histories),
        *(use_presence, use_calm, use_gone_channels, use_discards),
    ],
)
async def test_names_leave_nothing(world: World, use: Callable[[World], Awaitable[None]]) -> None:
    """Very many are used and let go: sizes are what they were, and memory about so."""
    node = await world.layer.node()
    await world.layer.publish("general", b"1")  # what a first call makes

    async def is_over() -> bool:
        world.clock.advance(LATER)
        await node.memberships.sweep()
        for shard in range(world.layer.options.shards):
            await node._backend.positions(shard, [])
        return not any(sizes(node, world.server).values())

    await until(is_over, within=60.0)
    used: list[int] = []
    for _ in range(ROUNDS):
        await use(world)
        await until(is_over, within=60.0)
        used.append(rss())
        # What is left takes memory in each round. What lives longer on a busy machine does not.
        if any(after - before < world.names * TOLERANCE for before, after in pairwise(used)):
            return
    pytest.fail(f"RSS grew in each round: {used}")


async def test_consumers_that_died_leave_a_quiet_group(redis_server: EmbeddedValkey) -> None:
    """Nothing is sent to their groups, and nobody discards them; Redis is told, too."""
    # So long that the first is still there when the last is made.
    layer = ShardedChannelLayer(hosts=[redis_server.url], group_expiry=5.0, linger=0.05)
    try:
        node = await layer.node()
        for number in range(50):
            await layer.group_add(f"group{number}", await layer.new_channel())
        assert node.rooms() == 50
        await until(lambda: node.rooms() == 0)

        async def forgotten() -> bool:
            return not (await layer.room_info("group7")).nodes

        await until(forgotten)
    finally:
        await layer.close()


async def test_rooms_that_a_flush_forgot_are_not_looked_at_for_ever() -> None:
    """The node has no room of that name any more, so nothing lingers either."""
    world = World()
    node = await world.layer.node()
    try:
        channel = await world.layer.new_channel()
        await world.layer.group_add("general", channel)
        await world.layer.group_discard("general", channel)
        assert node._rooms._idle._ends
        await world.layer.flush()
        assert node.rooms() == 0
        assert not node._rooms._idle._ends
    finally:
        await world.layer.close()
