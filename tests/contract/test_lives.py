"""A server that comes back with less than it acknowledged is noticed before it is written to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import orjson
import pytest
from redis import Redis

from demo.embedded import EmbeddedValkey
from shardlayer.broker.redis.keys import ShardKeys
from shardlayer.core.exceptions import ShardUnavailable
from shardlayer.core.sharding import hash_tags
from shardlayer.core.types import Position
from shardlayer.layer import ShardedChannelLayer
from tests.shardlayer.fakes import RecordingSink
from tests.waiting import until

GENERATION = 2**40  # offsets

MakeLayer = Callable[[EmbeddedValkey], ShardedChannelLayer]


@pytest.fixture
def snapshots(tmp_path: Path) -> Iterator[EmbeddedValkey]:
    """A server that comes back with what it held when it was last told to save."""
    options = ("--dir", str(tmp_path), "--save", "3600 1")
    with EmbeddedValkey(directory=tmp_path, options=options) as server:
        yield server


@pytest.fixture
def always(tmp_path: Path) -> Iterator[EmbeddedValkey]:
    """A server that comes back with everything."""
    options = ("--dir", str(tmp_path), "--appendonly", "yes", "--appendfsync", "always")
    with EmbeddedValkey(directory=tmp_path, options=options) as server:
        yield server


@pytest.fixture
def everysec(tmp_path: Path) -> Iterator[EmbeddedValkey]:
    """A server that may come back without its last second."""
    options = ("--dir", str(tmp_path), "--appendonly", "yes", "--appendfsync", "everysec")
    with EmbeddedValkey(directory=tmp_path, options=options) as server:
        yield server


@pytest.fixture
async def make_layer() -> AsyncIterator[MakeLayer]:
    """A maker of layers, closed after the test."""
    made: list[ShardedChannelLayer] = []

    def make(server: EmbeddedValkey) -> ShardedChannelLayer:
        made.append(ShardedChannelLayer(hosts=[server.url]))
        return made[-1]

    yield make
    for layer in made:
        await layer.close()


def again(server: EmbeddedValkey, *, kill: bool = True) -> None:
    """Kill or stop a server and start it again."""
    if kill:
        server.kill()
    else:
        server.stop()
    server.start()


def on_disk(server: EmbeddedValkey) -> None:
    """Wait until a server has written all that it has: on a busy disk that can take seconds."""
    with Redis.from_url(server.url) as redis:
        redis.set("last", 1)
        assert redis.waitaof(1, 0, 10_000) == [1, 0]


async def publish(layer: ShardedChannelLayer, *numbers: int) -> Position:
    position = None
    for number in numbers:
        position = await layer.publish("room", b"%d" % number)
    assert position is not None
    return position


async def held(layer: ShardedChannelLayer) -> list[bytes]:
    return [each.data for each in await layer.history("room")]


def data_of(sink: RecordingSink) -> list[int]:
    """Return what a member was pushed, with -1 for a reset."""
    pushes = [orjson.loads(text) for text in sink.texts]
    return [-1 if "reset" in push else push["data"] for push in pushes]


async def test_lost_publications_are_told_though_their_numbers_fit_again(
    snapshots: EmbeddedValkey, make_layer: MakeLayer
) -> None:
    """Members who stay get a reset and nothing twice, those who come back `recovered: false`."""
    members, publisher = make_layer(snapshots), make_layer(snapshots)
    node, sink = await members.node(), RecordingSink()
    (await node.join("room", sink)).release()
    await publish(publisher, 1, 2, 3)
    with Redis.from_url(snapshots.url) as redis:
        redis.save()
    lost = await publish(publisher, 4, 5)
    await until(lambda: len(sink.texts) == 5)
    again(snapshots)
    back = await publish(publisher, 6, 7, 8)  # as many as were lost, and one more
    assert back.offset > lost.offset
    assert back.epoch == lost.epoch
    await until(lambda: data_of(sink)[-1] == 8)
    assert data_of(sink) == [1, 2, 3, 4, 5, -1, 6, 7, 8]
    assert await held(publisher) == [b"1", b"2", b"3", b"6", b"7", b"8"]
    joined = await node.join("room", RecordingSink(), since=lost)
    assert not joined.recovered
    assert [each.data for each in joined.publications] == [b"6", b"7", b"8"]


async def test_rooms_that_nobody_was_in_are_told_of_too(
    snapshots: EmbeddedValkey, make_layer: MakeLayer
) -> None:
    """By a process that was not there before, when a client comes with a position that is lost.

    One that comes from before has missed nothing that anybody could know of.
    """
    with Redis.from_url(snapshots.url) as redis:
        before = make_layer(snapshots)
        kept = await publish(before, 1)
        redis.save()
        lost = await publish(before, 2)
        again(snapshots)
    later = make_layer(snapshots)
    await publish(later, 3)
    node = await later.node()
    joined = await node.join("room", RecordingSink(), since=lost)
    assert not joined.recovered
    assert [each.data for each in joined.publications] == [b"3"]
    joined = await node.join("room", RecordingSink(), since=kept)
    assert joined.recovered


async def test_publisher_whose_publication_is_lost_has_everybody_told(
    snapshots: EmbeddedValkey, make_layer: MakeLayer
) -> None:
    """Nobody was in the room who had it, and others published first: who comes back is told."""
    with Redis.from_url(snapshots.url) as redis:
        publisher, other = make_layer(snapshots), make_layer(snapshots)
        kept = await publish(publisher, 1)
        redis.save()
        await publish(publisher, 2)
        again(snapshots)
    await publish(other, 3)
    node = await other.node()
    await publish(publisher, 4)
    joined = await node.join("room", RecordingSink(), since=kept)
    assert not joined.recovered
    assert [each.data for each in joined.publications] == [b"3", b"4"]


async def test_member_who_had_what_is_lost_has_its_room_told(
    snapshots: EmbeddedValkey, make_layer: MakeLayer
) -> None:
    """Its node comes back with a position that the server lost; the publisher is gone."""
    with Redis.from_url(snapshots.url) as redis:
        members, publisher = make_layer(snapshots), make_layer(snapshots)
        node, sink = await members.node(), RecordingSink()
        (await node.join("room", sink)).release()
        kept = await publish(publisher, 1)
        redis.save()
        await publish(publisher, 2)
        await publisher.close()
        await until(lambda: len(sink.texts) == 2)
        again(snapshots)
    await until(lambda: data_of(sink) == [1, 2, -1])
    later = make_layer(snapshots)
    await publish(later, 3)
    await until(lambda: data_of(sink) == [1, 2, -1, 3])
    joined = await node.join("room", RecordingSink(), since=kept)
    assert not joined.recovered


@pytest.mark.parametrize("kill", [True, False])
async def test_restart_that_lost_nothing_is_invisible(
    everysec: EmbeddedValkey, make_layer: MakeLayer, kill: bool
) -> None:
    """Members who stay and those who come back notice nothing, and nothing comes twice."""
    members, publisher = make_layer(everysec), make_layer(everysec)
    node, sink = await members.node(), RecordingSink()
    (await node.join("room", sink)).release()
    positions: list[Position] = []
    for turn in range(3):
        positions += [await publish(publisher, 10 * turn + number) for number in range(10)]
        on_disk(everysec)
        again(everysec, kill=kill)
    positions.append(await publish(publisher, 30))
    await until(lambda: len(sink.texts) == 31)
    assert data_of(sink) == list(range(31))
    for number, position in enumerate(positions):
        joined = await node.join("room", RecordingSink(), since=position)
        assert joined.recovered
        assert [int(each.data) for each in joined.publications] == list(range(number + 1, 31))
    offsets = [position.offset for position in positions]
    assert offsets == sorted(set(offsets))
    assert len({position.epoch for position in positions}) == 1


async def test_quiet_room_is_told_nothing_either(
    everysec: EmbeddedValkey, make_layer: MakeLayer
) -> None:
    """Nothing is published after the restart; who comes back has missed nothing."""
    layer = make_layer(everysec)
    node, sink = await layer.node(), RecordingSink()
    (await node.join("room", sink)).release()
    (await node.join("empty", sink)).release()
    position = await publish(layer, 1)
    for _ in range(2):
        on_disk(everysec)
        again(everysec)
        (await node.join("room", RecordingSink())).release()
    await until(lambda: _has_leapt(layer, position))
    joined = await node.join("room", RecordingSink(), since=position)
    assert joined.recovered
    assert joined.publications == []
    assert data_of(sink) == [1]


async def _has_leapt(layer: ShardedChannelLayer, position: Position) -> bool:
    with suppress(ShardUnavailable):  # the connection may just be lost
        return (await layer.room_info("room")).offset > position.offset
    return False


async def test_server_that_lost_nothing_goes_on(
    always: EmbeddedValkey, make_layer: MakeLayer
) -> None:
    """With `appendfsync always` a restart is a pause, and the count has no leap."""
    layer = make_layer(always)
    first = await publish(layer, 1, 2)
    again(always)
    assert await publish(layer, 3) == Position(offset=3, epoch=first.epoch)
    joined = await (await layer.node()).join("room", RecordingSink(), since=first)
    assert joined.recovered


async def test_each_restart_leaps_once(snapshots: EmbeddedValkey, make_layer: MakeLayer) -> None:
    """Until the next one a room counts on, whichever process publishes."""
    layers = [make_layer(snapshots), make_layer(snapshots)]
    for turn in range(12):
        await publish(layers[0], 1)
        with Redis.from_url(snapshots.url) as redis:
            redis.save()
        again(snapshots)
        each = [*layers, make_layer(snapshots)] if turn == 0 else layers
        offsets = [(await publish(layer, 2)).offset for layer in each]
        assert offsets == list(range(offsets[0], offsets[0] + len(each)))
        assert offsets[0] // GENERATION == turn + 1


async def test_generations_end(always: EmbeddedValkey, make_layer: MakeLayer) -> None:
    """A count that can leap no further begins anew, under a new epoch."""
    layer = make_layer(always)
    first = await publish(layer, 1)
    keys = ShardKeys(hash_tags("rt", 32)[layer.shard_of("room")])
    with Redis.from_url(always.url) as redis:
        redis.set(keys.meta("room"), f"{8_191 * GENERATION + 1} {first.epoch} ")
        redis.set(keys.life, "another")
    assert (await publish(layer, 2)).offset == 1
    assert (await held(layer)) == [b"2"]
