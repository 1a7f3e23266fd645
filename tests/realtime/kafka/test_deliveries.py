"""Lines deliver in order, and again until it is acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
from aiokafka import TopicPartition

from realtime.kafka.publishing.deliveries import MAX_ITEMS, DeliveryQueue, Parcel
from realtime.kafka.publishing.partitions import PartitionWork
from tests.waiting import until


class Destination:
    """Takes items, or fails as it is told.

    Attributes:
        taken: What each call that succeeded brought.
        tried: What each call brought.
        failure: What it raises; None: it takes.
        gate: Calls wait until it is set.
    """

    def __init__(self) -> None:
        self.taken: list[list[int]] = []
        self.tried: list[list[int]] = []
        self.failure: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def deliver(self, items: Sequence[int]) -> None:
        """Take the items."""
        self.tried.append(list(items))
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        self.taken.append(list(items))


class Away(Exception):
    """What waiting mends."""


class World:
    """A line to a destination, and what it told."""

    def __init__(self) -> None:
        self.destination = Destination()
        self.works = [PartitionWork(TopicPartition("events", number)) for number in range(2)]
        self.done: list[Parcel[int]] = []
        self.states: list[Exception | None] = []
        self.over: list[Exception | None] = []  # what was wrong before each of these
        self.errors: list[BaseException] = []
        self.line: DeliveryQueue[int] = DeliveryQueue(
            self.destination.deliver,
            retry=Away,
            name="test",
            on_done=self.done.append,
            on_change=self.changed,
            on_error=self.errors.append,
        )

    def changed(self, before: Exception | None) -> None:
        """Note what the line is told to have become."""
        self.states.append(self.line.error)
        self.over.append(before)

    def put(self, *items: int, work: int = 0) -> Parcel[int]:
        """Queue items of a partition."""
        taken = self.works[work].take(end=items[-1] + 1, records=len(items), size=0, rooms=[])
        parcel = Parcel(slice=taken, items=items)
        self.line.put(parcel)
        return parcel


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """A world that is ended after the test."""
    world = World()
    yield world
    await world.line.aclose()


async def test_what_waits_leaves_together(world: World) -> None:
    """While one call is under way the next gathers all that comes."""
    world.destination.gate.clear()
    parcels = [world.put(1)]
    await until(lambda: world.destination.tried)
    parcels += [world.put(2, 3), world.put(4, work=1)]
    world.destination.gate.set()
    await until(lambda: len(world.done) == 3)
    assert world.destination.taken == [[1], [2, 3, 4]]
    assert world.done == parcels
    assert world.states == []


async def test_a_call_is_bounded(world: World) -> None:
    """A parcel is not parted, but what is behind it waits when a call is full."""
    world.put(0)
    world.put(*range(MAX_ITEMS - 1))
    world.put(1, 2)
    await until(lambda: len(world.done) == 3)
    assert list(map(len, world.destination.taken)) == [MAX_ITEMS, 2]


async def test_failure_is_tried_again_before_anything_later(world: World) -> None:
    """Nothing passes what failed; that it fails and that it is over is told."""
    world.destination.failure = Away()
    world.put(1, 2)
    await until(lambda: world.line.error is not None)
    world.put(3)
    assert set(world.line.partitions()) == {TopicPartition("events", 0)}
    world.destination.failure = None
    await until(lambda: len(world.done) == 2)
    assert all(tried[:2] == [1, 2] for tried in world.destination.tried)
    assert world.destination.taken == [[1, 2, 3]]
    assert world.line.error is None
    assert world.states[-1] is None
    assert isinstance(world.states[0], Away)


async def test_dropped_partition_is_not_sent_again(world: World) -> None:
    """What is somebody else's now is left out, and is not told to be done."""
    world.destination.failure = Away()
    world.put(1)
    kept = world.put(2, work=1)
    await until(lambda: world.line.error is not None)
    world.works[0].dropped = True
    assert set(world.line.partitions()) == {TopicPartition("events", 1)}
    world.destination.failure = None
    await until(lambda: world.done)
    assert world.destination.taken == [[2]]
    assert world.done == [kept]


async def test_nothing_left_is_no_success(world: World) -> None:
    """Of parcels that were all dropped nobody learns anything; the next one ends the outage."""
    world.destination.failure = away = Away()
    world.put(1)
    await until(lambda: world.line.error is not None)
    world.works[0].dropped = True
    await until(lambda: world.line.error is None)
    assert world.done == []
    assert None not in world.states
    world.destination.failure = None
    world.put(2, work=1)
    await until(lambda: world.done)
    assert (world.states[-1], world.over[-1]) == (None, away)
    world.put(3, work=1)
    await until(lambda: len(world.done) == 2)
    assert world.states.count(None) == 1


async def test_other_errors_are_told(world: World) -> None:
    """What waiting would not mend goes to the owner."""
    world.destination.failure = TypeError("no room")
    world.put(1)
    await until(lambda: world.errors)
    assert world.errors == [world.destination.failure]
    assert world.done == []
