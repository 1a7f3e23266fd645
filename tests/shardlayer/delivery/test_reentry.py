"""Rooms that are asked about again: together, in turns, and none for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import orjson
import pytest
from redis import Redis

from demo.embedded import EmbeddedValkey
from shardlayer.aio.tasks import Tasks
from shardlayer.aio.time_slices import TimeSlices
from shardlayer.broker.values import PAGE, JoinReply, Page
from shardlayer.core.exceptions import ShardUnavailable
from shardlayer.core.types import Position, Publication
from shardlayer.delivery.hub import Hub
from shardlayer.delivery.reentry import ROOMS_PER_CALL, Reentry
from shardlayer.delivery.registration import Registration
from shardlayer.delivery.room import LocalRoom, State
from shardlayer.layer import ShardedChannelLayer
from tests.shardlayer.fakes import RecordingSink
from tests.waiting import until

EPOCH = "k3k3k3k3"
NOTHING = JoinReply(
    leased=True, position=Position(0, EPOCH), recovered=True, publications=[], start=0
)


class AnsweringRegistration:
    """Answers what it was told to, or that nothing was missed; remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[list[str], Page]] = []
        self.answers: dict[str, list[JoinReply | Exception]] = {}
        self.is_away = False

    async def enter_again(
        self, shard: int, groups: Sequence[tuple[str, int, Position | None]], page: Page
    ) -> list[JoinReply | Exception]:
        names = [name for name, _, _ in groups]
        self.asked.append((names, page))
        await asyncio.sleep(0)
        if self.is_away:
            self.is_away = False
            raise ShardUnavailable(shard=shard, server="here", reason="it is away")
        return [self.answers[name].pop(0) if self.answers.get(name) else NOTHING for name in names]


class Node:
    """The rooms of one shard, and who asks about them."""

    def __init__(self, tasks: Tasks) -> None:
        turns = TimeSlices()
        self.registration = AnsweringRegistration()
        self.hub = Hub(
            slice_size=1_000,
            write_bytes=65_536,
            max_backlog=1_000_000,
            turns=turns,
            on_doubt=lambda room: self.reentry.ask(0, room),
        )
        self.reentry = Reentry(
            cast(Registration, self.registration),
            [self.hub],
            turns,
            on_admitted=self.deliver,
            tasks=tasks,
        )

    def deliver(self, shard: int) -> None:
        list(self.hub.deliver())

    def room(self, name: str) -> LocalRoom:
        room = self.hub.open(name)
        self.hub.join(room, RecordingSink()).open(Position(0, EPOCH))
        self.hub.enter(room)
        self.hub.admit(room, NOTHING)
        self.deliver(0)
        return room


@asynccontextmanager
async def node() -> AsyncIterator[Node]:
    tasks = Tasks()
    try:
        yield Node(tasks)
    finally:
        await tasks.aclose()


async def test_nodes_that_come_back_begin_at_random_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chance says how much of SPREAD each waits with its shard; a single room does not wait."""
    share = 1e6
    monkeypatch.setattr("random.uniform", lambda low, high: low + share * (high - low))
    async with node() as late, node() as early, node() as healing:
        late.room("general")
        early.room("general")
        missing = healing.room("general")
        late.reentry.doubt(0)
        healing.hub.miss(missing)
        share = 0.0
        early.reentry.doubt(0)
        await until(lambda: early.registration.asked and healing.registration.asked)
        assert not late.registration.asked


async def test_rooms_of_a_shard_are_asked_about_together_and_in_turns() -> None:
    """Each once, some dozens in a call, and the loop goes on between two calls."""
    async with node() as here:
        rooms = [here.room(f"room{number}") for number in range(1_000)]
        here.hub.forget(here.room("gone"))
        here.reentry.doubt(0)
        assert all(room.state is State.LIVE for room in rooms)
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += bool(here.registration.asked)

        counting = asyncio.create_task(count())
        asked: set[str] = set()
        await until(lambda: len(here.registration.asked) == 1_000 / ROOMS_PER_CALL)
        await until(lambda: all(room.state is State.LIVE for room in rooms))
        counting.cancel()
        for names, _ in here.registration.asked:
            assert len(names) == ROOMS_PER_CALL
            assert asked.isdisjoint(names)
            asked.update(names)
        assert asked == {room.name for room in rooms}
        assert turns > 2 * len(here.registration.asked)


async def test_publication_larger_than_its_part_of_a_page_is_asked_for_alone() -> None:
    """The rooms of a call share a page; who comes no further so has one of its own."""
    large = Publication("large", b"1", 1, EPOCH)
    position = Position(1, EPOCH)
    async with node() as here:
        room, other = here.room("large"), here.room("other")
        here.registration.answers["large"] = [
            JoinReply(leased=True, position=position, recovered=True, publications=[], start=0),
            JoinReply(
                leased=True, position=position, recovered=True, publications=[large], start=0
            ),
        ]
        here.hub.miss(room)
        here.hub.miss(other)
        await until(lambda: room.state is other.state is State.LIVE)
        assert room.position == position
        (first, shared), (second, own) = here.registration.asked
        assert (first, second) == (["large", "other"], ["large"])
        assert (shared.least, own) == (0, PAGE)
        assert shared.max_bytes == PAGE.max_bytes // 2


async def test_room_that_fails_holds_up_no_other() -> None:
    """It is asked about again, and so are all of them when the shard is away."""
    async with node() as here:
        bad, good = here.room("bad"), here.room("good")
        here.registration.is_away = True
        here.registration.answers["bad"] = [ValueError("what is that?")] * 2
        here.hub.miss(bad)
        here.hub.miss(good)
        await until(lambda: bad.state is good.state is State.LIVE)
        assert [names for names, _ in here.registration.asked] == [
            ["bad", "good"],
            ["bad", "good"],
            ["bad"],
            ["bad"],
        ]


async def test_many_rooms_come_back(redis_server: EmbeddedValkey) -> None:
    """What was published while the node was deaf comes in each of 400 rooms, in order and once."""
    names = [f"room{number}" for number in range(400)]
    config: dict[str, Any] = {"hosts": [redis_server.url]}
    layer, other = ShardedChannelLayer(**config), ShardedChannelLayer(**config)
    try:
        here = await layer.node()
        sinks = {name: RecordingSink() for name in names}
        for joined in await asyncio.gather(*(here.join(name, sinks[name]) for name in names)):
            joined.release()
        await other.publish_many([(name, b"1") for name in names])
        await until(lambda: all(len(sink.texts) == 1 for sink in sinks.values()))
        with Redis.from_url(redis_server.url) as redis:
            redis.client_kill_filter(_type="pubsub")
        for number in (b"2", b"3"):
            await other.publish_many([(name, number) for name in names])
        await until(lambda: all(len(sink.texts) >= 3 for sink in sinks.values()))
        await other.publish_many([(name, b"4") for name in names])
        await until(lambda: all(len(sink.texts) >= 4 for sink in sinks.values()))
        for sink in sinks.values():
            assert [orjson.loads(text)["data"] for text in sink.texts] == [1, 2, 3, 4]
    finally:
        await layer.close()
        await other.close()
