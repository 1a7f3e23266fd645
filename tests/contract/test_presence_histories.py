"""Random histories of who comes and goes, compared with a plain model after each step."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from shardlayer.broker.presence_values import Announced, Announcement, Attendee
from shardlayer.core.types import NodeId
from tests.contract.asking import SHARD, BrokerWithPresence

STEPS = 60
ROOMS, PERSONS, CONNECTIONS = ["r", "r.a", "s"], ["ada", "bob", "é", "~1"], ["1", "2"]
NODES = [NodeId(name) for name in ("north", "south", "west")]


class Model:
    """What was announced, without any of the means by which a broker finds it fast."""

    def __init__(self) -> None:
        self.there: dict[NodeId, set[Attendee]] = {node: set() for node in NODES}
        self.numbers = dict.fromkeys(NODES, 0)  # as the shard has them; -1 while one is cleared

    def people(self, room: str) -> Counter[str]:
        return Counter(
            each.person for there in self.there.values() for each in there if each.room == room
        )

    def change(self, node: NodeId, came: list[Attendee], went: list[Attendee]) -> dict[str, bool]:
        before = {room: bool(self.people(room)) for room in ROOMS}
        self.there[node] |= set(came)
        self.there[node] -= set(went)
        after = {room: bool(self.people(room)) for room in ROOMS}
        return {room: after[room] for room in ROOMS if after[room] != before[room]}


@pytest.mark.parametrize("place", ["memory", "unix", "cluster"], indirect=True)
@pytest.mark.parametrize("seed", range(4))
async def test_a_broker_is_as_its_model(presence: BrokerWithPresence, seed: int) -> None:
    """Whatever is announced, repeated and cleared, in whatever order."""
    chance, model = Random(seed), Model()
    said: dict[NodeId, tuple[Announcement, Announced]] = {}
    numbers = dict.fromkeys(NODES, 0)

    def some() -> list[Attendee]:
        found = {
            Attendee(chance.choice(ROOMS), chance.choice(PERSONS), chance.choice(CONNECTIONS))
            for _ in range(chance.randint(0, 4))
        }
        return sorted(found)

    for _ in range(STEPS):
        node = chance.choice(NODES)
        match chance.choice(["announce"] * 4 + ["repeat", "clear", "end"]):
            case "announce":
                came = some()
                went = [each for each in some() if each not in came]
                numbers[node] += 1
                known = model.numbers[node] + 1 == numbers[node]
                expected = Announced(known, model.change(node, came, went))
                announcement = Announcement(node, numbers[node], came, went)
                assert await presence.announce(SHARD, announcement) == expected
                model.numbers[node] = numbers[node]
                said[node] = (announcement, expected)
            case "repeat" if node in said and model.numbers[node] == numbers[node]:
                assert await presence.announce(SHARD, said[node][0]) == said[node][1]
            case "clear":  # of a node without a lease, as all are here
                gone = sorted(model.there[node])[: chance.randint(0, 5)]
                assert await presence.clear(SHARD, node, gone) == Announced(
                    True, model.change(node, [], gone)
                )
                model.numbers[node] = -1 if model.there[node] else 0
            case "end":
                gone = sorted(model.there[node])
                cleared = await presence.clear(SHARD, node, gone, ends=True)
                assert cleared.turned == model.change(node, [], gone)
                model.numbers[node] = 0
        for room in ROOMS:
            page = await presence.present(SHARD, room, limit=9)
            people = model.people(room)
            shown = {person.name: person.connections for person in page.persons}
            assert (shown, page.people, page.connections) == (people, len(people), people.total())
        roll = await presence.roll(SHARD, node)
        assert (len(roll), set(roll)) == (len(model.there[node]), model.there[node])
