"""A server that loses a room twice, while a node still has the answer from between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from redis import Redis

from demo.embedded import EmbeddedValkey
from shardlayer.broker.redis.keys import ShardKeys
from shardlayer.broker.values import Page
from shardlayer.core.exceptions import ShardUnavailable
from shardlayer.core.sharding import hash_tags
from shardlayer.core.types import BEGINNING, Position
from shardlayer.delivery.registration import Registration
from shardlayer.layer import ShardedChannelLayer
from tests.shardlayer.fakes import RecordingSink
from tests.shardlayer.layer.test_node import Room, layer_on, numbers
from tests.waiting import PATIENCE, until


class HeldAnswers:
    """Answers about rooms that may have missed something, which arrive when they are let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.given = asyncio.Event()
        self.let_go = asyncio.Event()
        enter_again = Registration.enter_again

        async def held(*arguments: Any) -> Any:
            answers = await enter_again(*arguments)
            self.given.set()
            await self.let_go.wait()
            return answers

        monkeypatch.setattr(Registration, "enter_again", held)


@pytest.fixture
def redis(redis_server: EmbeddedValkey) -> Iterator[Redis]:
    """A client of the server."""
    with Redis.from_url(redis_server.url) as client:
        yield client


def lose(redis: Redis, layer: ShardedChannelLayer, room: str) -> None:
    """Have the server forget what it knows of a room's publications."""
    tag = hash_tags(layer.options.prefix, layer.options.shards)[layer.shard_of(room)]
    keys = ShardKeys(tag)
    redis.delete(keys.meta(room), keys.history(room))


@pytest.fixture
async def two(redis_server: EmbeddedValkey) -> AsyncIterator[tuple[Room, Room]]:
    """The same room of two layers, of which the first gives up soon."""
    async with (
        layer_on(redis_server.url, publish_timeout=4.0) as here,
        layer_on(redis_server.url) as there,
    ):
        yield Room(here), Room(there)


async def lost_twice(
    here: Room, there: Room, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> tuple[RecordingSink, HeldAnswers]:
    """Have a member here, whose room was lost twice; return it, and the answer from between."""
    stays = await here.join()
    await there.publish(1)
    assert await numbers(stays, 1) == [1]
    answers = HeldAnswers(monkeypatch)
    lose(redis, here.layer, here.name)
    await there.publish(2)
    await asyncio.wait_for(answers.given.wait(), PATIENCE)
    lose(redis, here.layer, here.name)
    await there.publish(3)
    return stays, answers


async def begun(room: Room, since: Position) -> asyncio.Task[RecordingSink]:
    """Begin to come back to a room, up to where its shard has answered."""
    coming = asyncio.create_task(room.join(since))
    rooms = (await room.layer.node())._rooms
    await until(lambda: coming.done() or len(rooms._catching_up))
    return coming


async def test_who_comes_meanwhile_gets_nothing_twice(
    two: tuple[Room, Room], redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its answer is newer than the one that its node waits for, and is not undone by that."""
    here, there = two
    stays, answers = await lost_twice(here, there, redis, monkeypatch)
    coming = await begun(here, BEGINNING)
    answers.let_go.set()
    comes = await asyncio.wait_for(coming, PATIENCE)
    await there.publish(4)
    assert await numbers(comes, 2) == [3, 4]
    assert await numbers(stays, 6) == [1, "reset", 2, "reset", 3, 4]
    assert not len((await here.layer.node())._rooms._catching_up)


async def test_room_that_is_lost_once_more_is_asked_again(
    two: tuple[Room, Room], redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the shard had answered counts no more when the room has caught up."""
    here, there = two
    stays, answers = await lost_twice(here, there, redis, monkeypatch)
    coming = await begun(here, BEGINNING)
    lose(redis, here.layer, here.name)
    await there.publish(4)
    answers.let_go.set()
    comes = await asyncio.wait_for(coming, PATIENCE)
    await there.publish(5)
    assert await numbers(comes, 2) == [4, 5]
    assert await numbers(stays, 6) == [1, "reset", 2, "reset", 4, 5]


async def test_who_reads_on_gets_nothing_twice(
    two: tuple[Room, Room], redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its page, which begins with a reset, waits as an answer to a new member does."""
    here, there = two
    node = await here.layer.node()
    await there.publish(-2, -1, 0)
    reads = RecordingSink()
    joined = await node.join(here.name, reads, BEGINNING, Page(1, least=1))
    assert joined.is_behind
    _, answers = await lost_twice(here, there, redis, monkeypatch)
    reading = asyncio.create_task(node.read_on(joined))
    await until(lambda: len(node._rooms._catching_up))
    answers.let_go.set()
    for broadcast in await asyncio.wait_for(reading, PATIENCE):
        reads.write(broadcast)
    joined.release()
    await there.publish(4)
    assert await numbers(reads, 3) == ["reset", 3, 4]


async def test_room_that_does_not_catch_up(
    two: tuple[Room, Room], redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waits for it is told that its shard is not available, and is forgotten."""
    here, there = two
    _, answers = await lost_twice(here, there, redis, monkeypatch)
    with pytest.raises(ShardUnavailable, match="count is not known"):
        await here.join(BEGINNING)
    rooms = (await here.layer.node())._rooms
    assert not len(rooms._catching_up)
    assert rooms.members(here.name) == 1
    answers.let_go.set()


async def test_layer_that_is_closed_meanwhile(
    two: tuple[Room, Room], redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for what comes no more."""
    here, there = two
    await lost_twice(here, there, redis, monkeypatch)
    coming = await begun(here, BEGINNING)
    await here.layer.close()
    with pytest.raises(ShardUnavailable, match="the layer was closed"):
        await coming


async def test_quiet_room_is_asked_about_once(
    two: tuple[Room, Room], redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody publishes, so those who come back have their node learn of the loss."""
    here, _ = two
    stays = await here.join()
    since = Position(offset=0, epoch=(await here.layer.room_info(here.name)).epoch)
    lose(redis, here.layer, here.name)
    questions = []
    enter_again = Registration.enter_again

    async def counted(*arguments: Any) -> Any:
        questions.append(arguments[2])
        return await enter_again(*arguments)

    monkeypatch.setattr(Registration, "enter_again", counted)
    back = await asyncio.wait_for(asyncio.gather(*(here.join(since) for _ in range(3))), PATIENCE)
    assert len(questions) == 1
    await here.publish(1)
    for sink in back:
        assert await numbers(sink, 1) == [1]
    assert await numbers(stays, 2) == ["reset", 1]
