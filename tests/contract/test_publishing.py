"""What is published once however often it is sent, and what everybody is told, in every place."""

from __future__ import annotations

import asyncio
from itertools import chain

import pytest

from shardlayer.core.exceptions import MessageTooLarge
from shardlayer.core.types import Mark, Position
from shardlayer.layer import ShardedChannelLayer
from tests.contract.conftest import MakeLayer
from tests.shardlayer.fakes import BrokenSink, RecordingSink
from tests.waiting import until

ROOM = "general"


async def held(layer: ShardedChannelLayer, room: str = ROOM) -> list[tuple[int, bytes]]:
    """Return offset and data of what a room's history holds."""
    return [(each.offset, each.data) for each in await layer.history(room)]


def one_name_per_shard(layer: ShardedChannelLayer) -> list[str]:
    """Return names of rooms that no test has members of."""
    names = {layer.shard_of(f"nobody-{n}"): f"nobody-{n}" for n in range(1_000)}
    assert len(names) == layer.options.shards
    return list(names.values())


def offsets(positions: list[Position | None]) -> list[int | None]:
    return [None if position is None else position.offset for position in positions]


async def test_calls_that_overlap_keep_their_order(layer: ShardedChannelLayer) -> None:
    """A room has what was published first, first, however many other rooms a call is for."""
    others = one_name_per_shard(layer)
    for number in range(0, 40, 4):
        await asyncio.gather(
            layer.publish_many([(room, b"x") for room in others] + [(ROOM, b"%d" % number)]),
            layer.publish_many([(ROOM, b"%d" % (number + 1))]),
            layer.publish_many([(ROOM, b"%d" % (number + 2))] + [(room, b"x") for room in others]),
            layer.publish(ROOM, b"%d" % (number + 3)),
        )
    assert [data for _, data in await held(layer)] == [b"%d" % number for number in range(40)]


async def test_idempotency_key_publishes_once(layer: ShardedChannelLayer) -> None:
    """The same key in the same room answers the first position; another key or room does not."""
    first = await layer.publish(ROOM, b"1", idempotency_key="a")
    await layer.publish(ROOM, b"2", idempotency_key="b")
    assert await layer.publish(ROOM, b"3", idempotency_key="a") == first
    assert await layer.publish("other", b"4", idempotency_key="a") is not None
    assert await held(layer) == [(1, b"1"), (2, b"2")]
    assert await held(layer, "other") == [(1, b"4")]
    assert layer.stats()["repeated"] == 1


async def test_idempotency_key_holds_among_concurrent_calls(layer: ShardedChannelLayer) -> None:
    """Calls that leave in one batch count too."""
    positions = await asyncio.gather(
        *(layer.publish(ROOM, b"%d" % n, idempotency_key="k") for n in range(20))
    )
    assert len(await held(layer)) == 1
    assert {position.offset for position in positions if position} == {1}


async def test_idempotency_key_of_a_room_without_history(make_layer: MakeLayer) -> None:
    """It is delivered once, and has no position the second time either."""
    layer = make_layer(history={})
    sink = RecordingSink()
    joined = await (await layer.node()).join(ROOM, sink)
    joined.release()
    assert await layer.publish(ROOM, b"1", idempotency_key="k") is None
    assert await layer.publish(ROOM, b"1", idempotency_key="k") is None
    await layer.publish(ROOM, b"2")
    await until(lambda: sink.texts[-1:] == [b'{"room":"general","data":2}'])
    assert len(sink.texts) == 2


async def test_idempotency_key_is_forgotten_after_its_time(make_layer: MakeLayer) -> None:
    """`idempotency_ttl` seconds after its publication the key is free."""
    layer = make_layer(idempotency_ttl=0.05)
    await layer.publish(ROOM, b"1", idempotency_key="k")

    async def published_again() -> bool:
        position = await layer.publish(ROOM, b"2", idempotency_key="k")
        return position is not None and position.offset == 2

    await until(published_again)


@pytest.mark.parametrize("key", ["", "k" * 129, 7, b"k", "\ud800"])
async def test_idempotency_key_that_can_be_none_is_refused(
    layer: ShardedChannelLayer, key: object
) -> None:
    """Before anything is sent."""
    with pytest.raises(TypeError, match="idempotency key"):
        await layer.publish(ROOM, b"1", idempotency_key=key)  # type: ignore[arg-type]


async def test_keys_of_two_owners_are_two(layer: ShardedChannelLayer) -> None:
    """No owner's key is another's, or that of who has no owner, however they are spelled."""
    spelled = [("k", ""), ("k", "a"), ("k", "b"), ("a\0k", ""), ("\0a\0k", ""), ("\0k", "a")]
    places = [
        await layer.publish(ROOM, b"1", idempotency_key=key, owner=owner)
        for _ in range(2)
        for key, owner in spelled
    ]
    assert offsets(places) == [1, 2, 3, 4, 5, 6] * 2


@pytest.mark.parametrize("owner", ["a\0b", "x" * 129, 7])
async def test_owner_that_can_be_none_is_refused(layer: ShardedChannelLayer, owner: object) -> None:
    """Before anything is sent."""
    with pytest.raises(TypeError, match="owner"):
        await layer.publish(ROOM, b"1", idempotency_key="k", owner=owner)  # type: ignore[arg-type]


async def test_marked_publications_are_taken_once_and_in_order(
    layer: ShardedChannelLayer,
) -> None:
    """What is at or behind its source's mark is skipped, whoever sends it, in whichever batch."""
    records = [(ROOM, b"%d" % n, Mark("events/0", n)) for n in range(250)]
    assert offsets(await layer.publish_marked(records[:120])) == list(range(1, 121))
    answers = offsets(await layer.publish_marked(records[100:]))
    assert answers == [None] * 20 + list(range(121, 251))
    assert [data for _, data in await held(layer)] == [b"%d" % n for n in range(250)]
    assert layer.stats()["repeated"] == 20
    assert layer.stats()["published"] == 250


async def test_sources_and_indices_are_marked_apart(layer: ShardedChannelLayer) -> None:
    """Two partitions do not touch each other, nor do two publications of one record."""
    assert offsets(
        await layer.publish_marked(
            [
                (ROOM, b"1", Mark("events/0", 5, 0)),
                (ROOM, b"2", Mark("events/0", 5, 1)),
                (ROOM, b"3", Mark("events/1", 5, 0)),
                (ROOM, b"4", Mark("events/1", 4, 9)),
                (ROOM, b"5", Mark("events/0", 5, 1)),
            ]
        )
    ) == [1, 2, 3, None, None]


async def test_shards_mark_for_themselves(layer: ShardedChannelLayer) -> None:
    """A room of another shard takes what the first shard has already, and the furthest is told."""
    rooms = [f"room-{n}" for n in range(40)]
    items = [(room, b"1", Mark("events/0", n)) for n, room in enumerate(rooms)]
    assert offsets(await layer.publish_marked(items)) == [1] * 40
    assert offsets(await layer.publish_marked(items)) == [None] * 40
    assert await layer.marks(["events/0", "events/1"]) == {
        "events/0": Mark("events/0", 39),
        "events/1": None,
    }
    assert await layer.marks([]) == {}


async def test_forgotten_marks_begin_anew(layer: ShardedChannelLayer) -> None:
    """A topic that was made again counts from 0 again."""
    await layer.publish_marked(
        [(ROOM, b"1", Mark("events/0", 9)), (ROOM, b"1", Mark("other/0", 9))]
    )
    await layer.forget_marks(["events/0"])
    again = [(ROOM, b"2", Mark("events/0", 0)), (ROOM, b"2", Mark("other/0", 0))]
    assert offsets(await layer.publish_marked(again)) == [3, None]


async def test_marks_outlive_a_flush(layer: ShardedChannelLayer) -> None:
    """They say what was taken from a log, which a flush does not empty."""
    await layer.publish_marked([(ROOM, b"1", Mark("events/0", 9))])
    await layer.flush()
    assert offsets(await layer.publish_marked([(ROOM, b"1", Mark("events/0", 9))])) == [None]


async def test_bad_marked_publication_sends_none(layer: ShardedChannelLayer) -> None:
    """Everything is looked at first."""
    with pytest.raises(TypeError):
        await layer.publish_marked([(ROOM, b"1", Mark("a", 0)), ("no room!", b"2", Mark("a", 1))])
    assert await held(layer) == []
    assert await layer.marks(["a"]) == {"a": None}


async def test_items_have_what_they_should(layer: ShardedChannelLayer) -> None:
    """One value less or more is an error, before anything is sent."""
    with pytest.raises(ValueError, match="values to unpack"):
        await layer.publish_marked([(ROOM, b"1")])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="values to unpack"):
        await layer.publish_many([(ROOM, b"1", Mark("a", 0))])  # type: ignore[list-item]
    assert await held(layer) == []


async def test_announcement_reaches_everybody_once(make_layer: MakeLayer) -> None:
    """Whoever attends, on every node, in a room or not, and nobody who has departed."""
    layers = [make_layer(), make_layer()]
    sinks = [RecordingSink() for _ in range(4)]
    gone, broken = RecordingSink(), BrokenSink()
    for layer, pair in zip(layers, (sinks[:2], sinks[2:]), strict=True):
        node = await layer.node()
        await node.settled(ROOM)
        for sink in pair:
            node.attend(sink)
            node.attend(sink)
        for sink in (gone, broken):
            node.attend(sink)
        node.depart(gone)
        node.depart(gone)
    heard = [asyncio.create_task(until(lambda sink=sink: sink.texts)) for sink in sinks]  # type: ignore[misc]
    await _settled(layers)
    await layers[0].announce(b'{"text":"hello"}')
    await asyncio.gather(*heard)
    await layers[1].announce(b'"again"')
    await until(lambda: all(len(sink.texts) == 2 for sink in sinks))
    expected = [b'{"announcement":{"text":"hello"}}', b'{"announcement":"again"}']
    assert all(sink.texts == expected for sink in sinks)
    assert gone.texts == []
    assert len(broken.texts) == 2  # once on each node, and removed there
    assert [layer.stats()["announced"] for layer in layers] == [2, 2]


async def _settled(layers: list[ShardedChannelLayer]) -> None:
    """Wait until each layer's node can hear every shard."""
    for layer in layers:
        node = await layer.node()
        for name in one_name_per_shard(layer):
            await node.settled(name)


async def test_marked_announcement_is_told_once(layer: ShardedChannelLayer) -> None:
    """A record that is read again is not announced again."""
    await _settled([layer])
    sink = RecordingSink()
    (await layer.node()).attend(sink)
    for data, offset in ((b"1", 3), (b"1", 3), (b"2", 4)):
        await layer.announce(data, mark=Mark("events/0", offset))
    await until(lambda: b'{"announcement":2}' in sink.texts)
    assert sink.texts == [b'{"announcement":1}', b'{"announcement":2}']


async def test_large_announcement_is_refused(make_layer: MakeLayer) -> None:
    """As a publication to a room is."""
    layer = make_layer(max_message_size=10)
    with pytest.raises(MessageTooLarge):
        await layer.announce(b"0123456789a")


async def test_rooms_beyond_the_targeted_percent_are_told_to_all(make_layer: MakeLayer) -> None:
    """Members get everything once all the same, at 0, at 50 and back at 100 percent."""
    # The registry is trusted after the lease of who publishes; the node has its own, a long one.
    layer, hears = make_layer(lease_ttl=0.6, history={}), make_layer(history={})
    node = await hears.node()
    rooms = [f"room-{n}" for n in range(40)]
    sinks = {room: RecordingSink() for room in rooms}
    for room, sink in sinks.items():
        (await node.join(room, sink)).release()

    async def trusted() -> bool:
        before = layer.stats()["fallback"]
        await layer.publish_many([(name, b"0") for name in one_name_per_shard(layer)])
        return layer.stats()["fallback"] == before

    await until(trusted)
    targeted = []
    for number, percent in enumerate((100, 50, 0, 100)):
        await layer.set_targeted_percent(percent)
        before = layer.stats()["targeted"]
        await layer.publish_many([(room, b"%d" % number) for room in rooms])
        targeted.append(layer.stats()["targeted"] - before)
    assert targeted[0] == targeted[3] == 40
    assert 5 <= targeted[1] <= 35
    assert targeted[2] == 0
    await until(lambda: all(len(sink.texts) == 4 for sink in sinks.values()))
    assert sinks["room-7"].texts == [b'{"room":"room-7","data":%d}' % n for n in range(4)]


@pytest.mark.parametrize("percent", [-1, 101, 0.5, "50"])
async def test_percentage_that_is_none_is_refused(
    layer: ShardedChannelLayer, percent: object
) -> None:
    """Before any shard goes by it."""
    with pytest.raises(ValueError, match="from 0 to 100"):
        await layer.set_targeted_percent(percent)  # type: ignore[arg-type]


async def test_messages_and_publications_of_one_name_do_not_mix(make_layer: MakeLayer) -> None:
    """Sent at once, so that they share batches: each kind reaches its members, one is kept."""
    layer = make_layer(capacity=100)
    sink = RecordingSink()
    (await (await layer.node()).join(ROOM, sink)).release()
    channel = await layer.new_channel()
    await layer.group_add(ROOM, channel)
    await layer.group_add(ROOM, "normal")
    sends = [layer.group_send(ROOM, {"type": "m", "number": number}) for number in range(20)]
    publishes = [layer.publish(ROOM, b"%d" % number) for number in range(20)]
    outcomes = await asyncio.gather(*chain.from_iterable(zip(sends, publishes, strict=True)))
    assert [outcome.offset for outcome in outcomes if outcome is not None] == list(range(1, 21))
    assert await held(layer) == [(number + 1, b"%d" % number) for number in range(20)]
    await until(lambda: len(sink.texts) == 20)
    assert sink.texts == [
        b'{"room":"general","offset":%d,"data":%d}' % (number + 1, number) for number in range(20)
    ]
    for member in (channel, "normal"):
        got = [(await layer.receive(member))["number"] for _ in range(20)]
        assert got == list(range(20))
