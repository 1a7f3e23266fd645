"""Who is in rooms, over nodes that come, go and die, on every place."""

from __future__ import annotations

import asyncio
import json

import pytest

from shardlayer.broker.presence_values import Attendee
from shardlayer.layer import ShardedChannelLayer
from shardlayer.layer.node import Node
from tests.contract.conftest import MakeLayer
from tests.contract.places import Place
from tests.shardlayer.fakes import RecordingSink
from tests.waiting import until

ROOM = "lobby"
QUICK = {"presence_delay": 0.01, "presence_news_interval": 0.2}
PLACES = ["memory", "unix", "cluster"]

pytestmark = pytest.mark.parametrize("place", PLACES, indirect=True)


async def enter(layer: ShardedChannelLayer, *people: str, room: str = ROOM) -> RecordingSink:
    """Have people come to a room, with a member that hears it."""
    node, sink = await layer.node(), RecordingSink()
    (await node.join(room, sink)).release()
    for number, person in enumerate(people):
        node.presence.come(Attendee(room, person, f"c{number}", b'{"n":%d}' % number))
    await node.presence.settled(room)
    return sink


async def names(layer: ShardedChannelLayer, room: str = ROOM) -> list[str]:
    return [person.name for person in (await layer.presence(room, limit=1_000)).persons]


def pushes(sink: RecordingSink) -> list[dict[str, object]]:
    return [json.loads(text)["presence"] for text in sink.texts if b'"presence"' in text]


def turns_of(*layers: ShardedChannelLayer) -> list[tuple[str, bool]]:
    turns: list[tuple[str, bool]] = []
    for layer in layers:
        layer.room_watchers.add(lambda room, is_occupied: turns.append((room, is_occupied)))
    return turns


async def die(node: Node) -> None:
    """Have a node stop as a killed process does: nothing is told, nothing is renewed."""
    await node._leases.aclose()
    await node.presence.attendance._tasks.aclose()
    node.presence.attendance._is_closed = True


async def test_all_nodes_see_who_is_there(make_layer: MakeLayer) -> None:
    """Who comes on one is seen on the other; the room turns twice in all."""
    here, there = make_layer(**QUICK), make_layer(**QUICK)
    turns = turns_of(here, there)
    sink = await enter(here, "ada")
    heard = await enter(there, "ada", "bob")
    assert await names(here) == await names(there) == ["ada", "bob"]
    page = await there.presence(ROOM)
    assert (page.people, page.connections) == (2, 3)
    await until(lambda: [push["people"] for push in pushes(sink)] == [1, 2])
    assert pushes(sink)[0] == {
        "people": 1,
        "came": [{"person": "ada", "info": {"n": 0}}],
        "went": [],
    }
    await until(lambda: pushes(heard))
    node = await here.node()
    node.presence.go(Attendee(ROOM, "ada", "c0", b'{"n":0}'))
    await node.presence.settled(ROOM)
    assert await names(there) == ["ada", "bob"]
    await there.close()
    await until(lambda: turns == [(ROOM, True), (ROOM, False)])
    assert await names(here) == []
    await until(lambda: pushes(sink)[-1] == {"people": 0, "came": [], "went": ["ada", "bob"]})


async def test_who_comes_back_in_time_has_not_gone(make_layer: MakeLayer) -> None:
    """With `presence_linger`: on whichever node, and nobody is told; who stays away goes."""
    here, there = make_layer(presence_linger=4.0, **QUICK), make_layer(**QUICK)
    turns = turns_of(here, there)
    sink = await enter(here, "ada", "bob")
    await enter(there)  # opens all connections, which may take a busy machine longer
    node = await here.node()
    for number, person in enumerate(("ada", "bob")):
        node.presence.go(Attendee(ROOM, person, f"c{number}", b'{"n":%d}' % number))
    await enter(there, "ada")
    assert (await there.presence(ROOM)).connections == 3
    await until(lambda: [push for push in pushes(sink) if push["went"]])
    assert [push["went"] for push in pushes(sink)][-1] == ["bob"]
    assert await names(here) == ["ada"]
    node.presence.come(Attendee(ROOM, "eve", "1"))
    node.presence.go(Attendee(ROOM, "eve", "1"))
    node.presence.come(Attendee(ROOM, "eve", "1"))
    await node.presence.settled(ROOM)
    assert not node.presence.attendance._lingering
    node.presence.go(Attendee(ROOM, "eve", "1"), at_once=True)
    await node.presence.settled(ROOM)
    assert await names(here) == ["ada"]
    assert turns == [(ROOM, True)]


async def test_a_heartbeat_costs_the_same_in_any_number_of_rooms(
    make_layer: MakeLayer, place: Place
) -> None:
    """Renewing the leases and watching: the same commands for five rooms and for 500."""

    async def beat() -> int:
        before = commands(place)
        await node._leases.renew()
        for shard in range(layer.options.shards):
            await node.presence.attendance._watch(shard)
        return commands(place) - before

    layer = make_layer(
        presence_delay=0.01,
        members_interval=600.0,
        history={"*": None},
        lease_ttl=6_000.0,  # seconds: no other beat comes between
    )
    node = await layer.node()
    counts = []
    for number in range(500):
        await enter(layer, f"p{number}", room=f"room-{number}")
        if number in (4, 499):
            # The first one may find something, and another may meet what a node does now and then.
            counts.append(min([await beat() for _ in range(4)]))
    assert len(node.presence.attendance) == 500
    assert counts[0] == counts[1]
    assert counts[0] > layer.options.shards or not place.servers


def commands(place: Place) -> int:
    """Return how many scripts the servers have run; none in memory."""
    total = 0
    for client in place.clients():
        stats = client.info("commandstats").get("cmdstat_evalsha", {})
        total += stats.get("calls", 0)
        client.close()
    return total


async def test_who_comes_and_goes_at_once_is_never_told(make_layer: MakeLayer) -> None:
    """Nobody hears of it, and no call is made."""
    layer = make_layer(presence_delay=0.3)
    turns = turns_of(layer)
    sink = await enter(layer)
    node = await layer.node()
    node.presence.come(Attendee(ROOM, "ada", "1"))
    node.presence.go(Attendee(ROOM, "ada", "1"))
    await node.presence.settled(ROOM)
    assert await names(layer) == []
    assert (turns, sink.texts) == ([], [])
    assert layer.stats()["presence_told"] == 0


async def test_people_of_a_dead_node_go_with_its_lease(make_layer: MakeLayer) -> None:
    """Those who were there only go, once; the rooms turn once, and whoever is left is told."""
    dying = make_layer(lease_ttl=4.0, **QUICK)
    # Theirs outlast a standstill, and are watched soon enough all the same.
    here, third = (make_layer(lease_ttl=12.0, **QUICK) for _ in range(2))
    sink = await enter(here, "ada")
    await enter(dying, "ada", "bob")
    await enter(dying, "eve", room="alone")
    await enter(third, "zoe", room="elsewhere")
    assert await names(here) == ["ada", "bob"]
    turns = turns_of(here, third)
    loop = asyncio.get_running_loop()
    await die(await dying.node())
    begun = loop.time()
    await until(lambda: turns)
    assert turns == [("alone", False)]
    assert loop.time() - begun < 4.0 + 10  # a busy machine has time to look
    await until(lambda: pushes(sink)[-1]["went"] == ["bob"])
    assert await names(here) == ["ada"]
    assert sum(layer.stats()["presence_cleared"] for layer in (here, third)) >= 1
    assert [push["went"] for push in pushes(sink) if push["went"]] == [["bob"]]
    assert turns == [("alone", False)]


async def test_who_asks_clears_a_dead_node(make_layer: MakeLayer) -> None:
    """Where no node is left to watch, a script that asks gets the truth."""
    dying, script = make_layer(lease_ttl=0.5, **QUICK), make_layer(**QUICK)
    await enter(dying, "ada")
    await die(await dying.node())
    turns = turns_of(script)

    async def empty() -> bool:
        return not (await script.presence(ROOM)).people

    await until(empty)
    assert turns == [(ROOM, False)]


async def test_a_node_that_was_cleared_announces_all_again(make_layer: MakeLayer) -> None:
    """It lost its lease for a while; its people come again when it is back."""
    here, there = make_layer(lease_ttl=1.0, **QUICK), make_layer(lease_ttl=1.0, **QUICK)
    await enter(there, "zoe")
    await enter(here, "ada", "bob")
    node = await here.node()
    leases, node._leases._tasks = node._leases._tasks, node._leases._tasks.branch()
    await leases.aclose()  # as a node that hangs
    await until(lambda: _is(there, ["zoe"]))
    node._leases.start()
    await until(lambda: _is(there, ["ada", "bob", "zoe"]))
    assert here.stats()["presence_compared"] >= 1


async def _is(layer: ShardedChannelLayer, expected: list[str]) -> bool:
    return await names(layer) == expected


async def test_shards_that_lost_everything_are_told_again(
    make_layer: MakeLayer, place: Place
) -> None:
    """A Redis that comes back empty, or a flush: all nodes announce again, and counts are right."""
    here, there = make_layer(lease_ttl=1.5, **QUICK), make_layer(lease_ttl=1.5, **QUICK)
    await enter(here, "ada", "bob")
    await enter(there, "ada")
    if place.servers:
        place.flush()
    else:
        await here.flush()
    await until(lambda: _is(here, ["ada", "bob"]))

    async def counted() -> bool:
        page = await there.presence(ROOM)
        return (page.people, page.connections) == (2, 3)

    await until(counted)


async def test_large_rooms_are_told_now_and_then(make_layer: MakeLayer) -> None:
    """What came is joined; past 100 names only their number is told."""
    layer = make_layer(**QUICK)
    people = [f"p{number:03}" for number in range(150)]
    sink = await enter(layer, *people)
    node = await layer.node()
    await until(lambda: pushes(sink))
    (first,) = pushes(sink)
    assert first["people"] == 150
    assert len(first["came"]) == 100  # type: ignore[arg-type]
    assert first["more"] == 50
    loop = asyncio.get_running_loop()
    begun = loop.time()
    for number in range(20):
        node.presence.come(Attendee(ROOM, f"q{number}", "1"))
        await node.presence.settled(ROOM)
    node.presence.go(Attendee(ROOM, "q3", "1"))
    await node.presence.settled(ROOM)
    await until(lambda: pushes(sink)[-1]["people"] == 169)
    most = 3 + (loop.time() - begun) / QUICK["presence_news_interval"]
    assert len(pushes(sink)) <= most  # of 21 changes
    page = await layer.presence(ROOM, limit=10)
    assert (page.people, len(page.persons), page.more) == (169, 10, True)


async def test_a_page_has_a_limit(make_layer: MakeLayer) -> None:
    """However many are asked for."""
    layer = make_layer(**QUICK)
    await enter(layer, *(f"p{number:04}" for number in range(600)))
    page = await layer.presence(ROOM, limit=10_000)
    assert (page.people, len(page.persons), page.more) == (600, 500, True)
    assert len((await layer.presence(ROOM, limit=10_000, after="p0499")).persons) == 100
    assert (await layer.presence(ROOM, limit=-5)).persons == []


async def test_names_that_can_not_be(make_layer: MakeLayer) -> None:
    """They are refused where they are given."""
    node = await make_layer().node()
    for person in ("", "a\0b", "x" * 256):
        with pytest.raises(ValueError, match="name"):
            node.presence.come(Attendee(ROOM, person, "1"))
    with pytest.raises(ValueError, match="carries"):
        node.presence.come(Attendee(ROOM, "ada", "1", b"x" * 4_097))
