"""What presence promises, on every place: who is where, exactly, and told once."""

from __future__ import annotations

import asyncio

from shardlayer.broker.presence_values import (
    MAX_LISTED,
    Announced,
    Announcement,
    Attendee,
    Person,
    PresencePage,
)
from shardlayer.core import wire
from shardlayer.core.presence_news import PersonEvent, PresenceNews, unpack_news
from shardlayer.core.types import NodeId
from tests.contract.asking import HERE, SHARD, THERE, BrokerWithPresence, join
from tests.contract.conftest import MakePresence
from tests.waiting import PATIENCE, until

ADA, BOB = Attendee("r", "ada", "1", b'{"at":"desk"}'), Attendee("r", "bob", "2")
ADA_TOO = Attendee("r", "ada", "3", b"{}")


async def announce(
    presence: BrokerWithPresence,
    number: int,
    *came: Attendee,
    went: tuple[Attendee, ...] = (),
    node: NodeId = HERE,
) -> Announced:
    return await presence.announce(SHARD, Announcement(node, number, came, went))


async def people(presence: BrokerWithPresence, room: str = "r") -> tuple[int, int]:
    page = await presence.present(SHARD, room)
    return page.people, page.connections


async def names(presence: BrokerWithPresence, room: str = "r") -> list[str]:
    page = await presence.present(SHARD, room, limit=100)
    return [person.name for person in page.persons]


async def news(presence: BrokerWithPresence, node: NodeId, room: str = "r") -> list[PresenceNews]:
    """Have a node in the room; return what it is told, which grows."""
    told: list[PresenceNews] = []

    class Listener:
        def arrived(self, shard: int, batch: bytes) -> None:
            for entry in wire.unpack_batch(batch):
                if entry.kind == wire.Kind.PRESENCE:
                    assert (shard, entry.name) == (SHARD, room)
                    told.append(unpack_news(entry.payload))

        def resumed(self, shards: object) -> None: ...

        def lost(self, shards: object) -> None: ...

    await presence.listen(node, Listener())
    await asyncio.wait_for(presence.heard(SHARD), PATIENCE)
    await join(presence, room, node=node)
    return told


async def test_nobody_is_in_an_unknown_room(presence: BrokerWithPresence) -> None:
    """Asking about it is no error."""
    page = await presence.present(SHARD, "nowhere", limit=10)
    assert page == PresencePage(people=0, connections=0, persons=[], more=False, gone=[])


async def test_who_comes_is_there_until_gone(presence: BrokerWithPresence) -> None:
    """A room turns with its first and its last person, and only then."""
    await presence.renew(SHARD, HERE)
    assert await announce(presence, 1, ADA) == Announced(True, {"r": True})
    assert await announce(presence, 2, BOB) == Announced(True, {})
    page = await presence.present(SHARD, "r", limit=10)
    assert page.persons == [Person("ada", 1, [b'{"at":"desk"}']), Person("bob", 1, [b""])]
    assert await announce(presence, 3, went=(ADA,)) == Announced(True, {})
    assert await names(presence) == ["bob"]
    assert await announce(presence, 4, went=(BOB,)) == Announced(True, {"r": False})
    assert await people(presence) == (0, 0)


async def test_several_connections_are_one_person(presence: BrokerWithPresence) -> None:
    """On one node or two; the person goes with the last of them."""
    await asyncio.gather(presence.renew(SHARD, HERE), presence.renew(SHARD, THERE))
    await announce(presence, 1, ADA, ADA_TOO)
    await announce(presence, 1, ADA, node=THERE)  # the other node's connection 1
    assert await people(presence) == (1, 3)
    (person,) = (await presence.present(SHARD, "r", limit=10)).persons
    assert person.connections == 3
    assert sorted(person.infos) == sorted([ADA.info, ADA.info, ADA_TOO.info])
    await announce(presence, 2, went=(ADA, ADA_TOO))
    assert await people(presence) == (1, 1)
    assert (await announce(presence, 2, went=(ADA,), node=THERE)).turned == {"r": False}


async def test_repeats_change_nothing(presence: BrokerWithPresence) -> None:
    """The same number is answered as the first time; the same change counts once."""
    await presence.renew(SHARD, HERE)
    first = await announce(presence, 1, ADA)
    assert await announce(presence, 1, ADA) == first == Announced(True, {"r": True})
    assert await announce(presence, 2, ADA) == Announced(True, {})
    assert await people(presence) == (1, 1)
    assert await announce(presence, 3, went=(BOB,)) == Announced(True, {})
    assert await people(presence) == (1, 1)


async def test_who_reconnects_is_not_gone_between(presence: BrokerWithPresence) -> None:
    """Who came counts before who went."""
    told = await news(presence, HERE)
    await announce(presence, 1, ADA)
    assert await announce(presence, 2, ADA_TOO, went=(ADA,)) == Announced(True, {})
    await announce(presence, 3, BOB)
    await until(lambda: len(told) == 2)
    assert [event.person for each in told for event in each.events] == ["ada", "bob"]


async def test_nodes_of_the_room_are_told(make_presence: MakePresence) -> None:
    """Each change of a person once, in order, with how many there are; others hear nothing."""
    here, there, aside = make_presence(), make_presence(), make_presence()
    told, heard = await news(here, HERE), await news(there, THERE)
    overheard = await news(aside, NodeId("aside"), "other")
    await announce(here, 1, ADA, ADA_TOO, BOB)
    await announce(here, 2, went=(ADA,))
    await announce(here, 3, Attendee("r", "eve", "4", told=False), went=(ADA_TOO,))
    await announce(here, 4, went=(BOB,))
    expected = [
        PresenceNews(2, [PersonEvent(True, "ada", ADA.info), PersonEvent(True, "bob")]),
        PresenceNews(2, [PersonEvent(False, "ada")]),
        PresenceNews(1, [PersonEvent(False, "bob")]),
    ]
    await until(lambda: len(told) == len(heard) == 3)
    assert told == heard == expected
    await announce(here, 5, Attendee("other", "ada", "1"))
    await until(lambda: overheard)
    assert overheard == [PresenceNews(1, [PersonEvent(True, "ada")])]


async def test_a_node_without_a_lease_is_cleared_once(make_presence: MakePresence) -> None:
    """Its people go, its rooms turn, and the nodes are told; who has others stays."""
    here, there = make_presence(lease_ttl=2.0), make_presence()
    told = await news(there, THERE)
    await here.renew(SHARD, HERE)
    alone = Attendee("alone", "eve", "9")
    await announce(here, 1, ADA, BOB, alone)
    await announce(there, 1, ADA, node=THERE)
    assert not (await here.clear(SHARD, HERE, [ADA])).known  # it has a lease
    assert await people(here) == (2, 3)

    async def gone() -> bool:
        return (await there.watch(SHARD, THERE, 1)).gone == [HERE]

    await until(gone)
    assert (await there.present(SHARD, "r")).gone == [HERE]
    found = await there.roll(SHARD, HERE)
    assert set(found) == {ADA, BOB, alone}
    turns = await asyncio.gather(
        there.clear(SHARD, HERE, found[:2]), here.clear(SHARD, HERE, found[:2])
    )
    rest = await asyncio.gather(there.clear(SHARD, HERE, found[2:]), here.clear(SHARD, HERE, found))
    await there.clear(SHARD, HERE, ())
    assert [dict(each.turned) for each in (*turns, *rest) if each.turned] == [{"alone": False}]
    assert (await there.watch(SHARD, THERE, 1)).gone == []
    assert await people(there) == (1, 1)
    await until(lambda: len(told) == 2)
    assert told[1] == PresenceNews(1, [PersonEvent(False, "bob")])


async def test_a_node_that_was_cleared_finds_out(make_presence: MakePresence) -> None:
    """From its next announcement, or by watching; then it announces all again."""
    presence = make_presence(lease_ttl=0.3)
    await presence.renew(SHARD, HERE)
    await announce(presence, 1, ADA, BOB)
    assert (await presence.watch(SHARD, HERE, 1)).known

    async def cleared() -> bool:
        return (await presence.clear(SHARD, HERE, [ADA])).known

    await until(cleared)
    await presence.renew(SHARD, HERE)
    assert not (await presence.watch(SHARD, HERE, 1)).known
    assert not (await announce(presence, 2)).known
    assert await presence.roll(SHARD, HERE) == [BOB]
    assert await announce(presence, 3, ADA) == Announced(True, {})
    assert await people(presence) == (2, 2)
    assert (await presence.watch(SHARD, HERE, 3)).known


async def test_a_node_that_ends_leaves_nobody(presence: BrokerWithPresence) -> None:
    """It clears its own while it has a lease, and is forgotten."""
    await presence.renew(SHARD, HERE)
    await announce(presence, 1, ADA)
    assert await presence.clear(SHARD, HERE, [ADA], ends=True) == Announced(True, {"r": False})
    assert await people(presence) == (0, 0)
    watch = await presence.watch(SHARD, THERE, 0)
    assert (watch.known, list(watch.gone), watch.ends_in) == (True, [], None)


async def test_watch_says_when_a_lease_ends(make_presence: MakePresence) -> None:
    """The next of those that have people here."""
    presence = make_presence(lease_ttl=20.0)
    await presence.renew(SHARD, HERE)
    await announce(presence, 1, ADA)
    ends_in = (await presence.watch(SHARD, HERE, 1)).ends_in
    assert ends_in is not None
    assert 5 < ends_in <= 20


async def test_pages_show_everybody_once(presence: BrokerWithPresence) -> None:
    """In the order of their names, over nodes, however many connections one has."""
    await asyncio.gather(presence.renew(SHARD, HERE), presence.renew(SHARD, THERE))
    persons = [f"p{number:03}" for number in range(120)]
    for number, node in enumerate((HERE, THERE), 1):
        came = [Attendee("r", name, f"{n}") for n, name in enumerate(persons[number - 1 :: number])]
        await announce(presence, 1, *came, node=node)
    many = [Attendee("r", "p050", f"x{n}", b"%d" % n) for n in range(700)]
    await announce(presence, 2, *many, Attendee("ra", "zoe", "1"), Attendee("q", "amy", "1"))
    shown: list[Person] = []
    after, more = "", True
    while more:
        page = await presence.present(SHARD, "r", limit=7, after=after)
        assert (page.people, page.connections) == (120, 120 + 60 + 700)
        shown += page.persons
        after, more = page.persons[-1].name, page.more
    assert [person.name for person in shown] == persons
    assert sum(person.connections for person in shown) == 880
    assert MAX_LISTED <= len(shown[50].infos) <= 2 * MAX_LISTED


async def test_roll_reads_on(presence: BrokerWithPresence) -> None:
    """From one entry to the next; each comes once."""
    await presence.renew(SHARD, HERE)
    came = [Attendee(f"r{n % 3}", f"p{n}", str(n), b"\0\xff", told=n % 2 == 0) for n in range(25)]
    await announce(presence, 1, *came)
    found: list[Attendee] = []
    while page := await presence.roll(SHARD, HERE, after=found[-1] if found else None, limit=7):
        found += page
    assert len(found) == 25
    assert set(found) == set(came)


async def test_names_of_every_kind(presence: BrokerWithPresence) -> None:
    """Letters of any script, spaces, signs; rooms whose names begin alike are apart."""
    await presence.renew(SHARD, HERE)
    persons = ["é", "李", " ", "a b", "+", "-", "!", "🙂", "a"]
    await announce(presence, 1, *(Attendee("r", name, "1") for name in persons))
    await announce(presence, 2, *(Attendee("r.a", name, "1") for name in persons[:4]))
    assert await names(presence) == sorted(persons, key=str.encode)
    assert await people(presence, "r.a") == (4, 4)
