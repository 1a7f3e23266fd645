"""A server that comes back with less than it acknowledged is noticed before it is written to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis

from demo.embedded import EmbeddedValkey
from shardlayer.layer import ShardedChannelLayer
from shardlayer.types import Position
from tests.shardlayer.fakes import RecordingSink
from tests.waiting import until

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
async def make_layer() -> AsyncIterator[MakeLayer]:
    """A maker of layers, closed after the test."""
    made: list[ShardedChannelLayer] = []

    def make(server: EmbeddedValkey) -> ShardedChannelLayer:
        made.append(ShardedChannelLayer(hosts=[server.url]))
        return made[-1]

    yield make
    for layer in made:
        await layer.close()


def again(server: EmbeddedValkey) -> None:
    """Kill a server and start it again."""
    server.kill()
    server.start()


async def publish(layer: ShardedChannelLayer, *numbers: int) -> Position:
    position = None
    for number in numbers:
        position = await layer.publish("room", b"%d" % number)
    assert position is not None
    return position


async def test_lost_publications_are_told_though_their_numbers_fit_again(
    snapshots: EmbeddedValkey, make_layer: MakeLayer
) -> None:
    """Members who stay get a reset, those who come back `recovered: false`, both what is held."""
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
    assert back.offset == lost.offset + 1
    assert back.epoch != lost.epoch
    await until(lambda: sink.texts[-1].endswith(b'"offset":6,"data":8}'))
    assert b'"reset"' in sink.texts[5]
    joined = await node.join("room", RecordingSink(), since=lost)
    assert not joined.recovered
    assert [each.data for each in joined.publications] == [b"1", b"2", b"3", b"6", b"7", b"8"]


async def test_rooms_that_nobody_was_in_are_told_of_too(
    snapshots: EmbeddedValkey, make_layer: MakeLayer
) -> None:
    """By a process that was not there before, when a client comes with its position."""
    with Redis.from_url(snapshots.url) as redis:
        before = make_layer(snapshots)
        await publish(before, 1)
        redis.save()
        lost = await publish(before, 2)
        again(snapshots)
    later = make_layer(snapshots)
    await publish(later, 3)
    joined = await (await later.node()).join("room", RecordingSink(), since=lost)
    assert not joined.recovered
    assert [each.data for each in joined.publications] == [b"1", b"3"]


async def test_server_that_lost_nothing_goes_on(
    always: EmbeddedValkey, make_layer: MakeLayer
) -> None:
    """With `appendfsync always` a restart is a pause."""
    layer = make_layer(always)
    first = await publish(layer, 1, 2)
    again(always)
    assert await publish(layer, 3) == Position(offset=3, epoch=first.epoch)
    joined = await (await layer.node()).join("room", RecordingSink(), since=first)
    assert joined.recovered


async def test_each_restart_is_told_once(snapshots: EmbeddedValkey, make_layer: MakeLayer) -> None:
    """Until the next one a room keeps its epoch, whichever process publishes."""
    layers = [make_layer(snapshots), make_layer(snapshots)]
    epochs = []
    for _ in range(2):
        await publish(layers[0], 1)
        with Redis.from_url(snapshots.url) as redis:
            redis.save()
        again(snapshots)
        found = {(await publish(layer, 2)).epoch for layer in (*layers, make_layer(snapshots))}
        assert len(found) == 1
        epochs.append(found.pop())
    assert epochs[0] != epochs[1]
