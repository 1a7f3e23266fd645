"""When a hub writes to the members of calm rooms, and to those of other rooms."""

from __future__ import annotations

import orjson

from shardlayer.broker.values import JoinReply
from shardlayer.core.client_names import without
from shardlayer.core.options import LayerOptions
from shardlayer.core.types import Position, Publication
from shardlayer.delivery.calm_rooms import CalmRooms
from shardlayer.delivery.exclusions import Exclusions
from shardlayer.delivery.room import LocalRoom
from shardlayer.delivery.special_rooms import specials_of
from tests.shardlayer.delivery.test_hub import EPOCH, HubUnderTest, deliver, offsets_of
from tests.shardlayer.fakes import FakeClock, RecordingSink

OPTIONS = LayerOptions.from_config(
    calm={"prices": {"max_rate": 4, "conflate": "s"}, "calm": {"max_rate": 4}},
    history={"now": {"latest": True}, "*": {}},
)


class CalmHub(HubUnderTest):
    """A hub with calm rooms, whose clock stands still, and that remembers what it asked for."""

    def __init__(self, limit: int = 1_000_000) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.asked: list[tuple[LocalRoom, float]] = []
        self.clients: dict[str, RecordingSink] = {}
        self._special = specials_of(OPTIONS)
        self._exclusions = Exclusions(self.clients)
        self.calm = CalmRooms(
            self._exclusions,
            lambda room, seconds: self.asked.append((room, seconds)),
            limit=limit,
            clock=self.clock,
        )

    async def say(self, *publications: Publication) -> None:
        self.feed(publications)
        await deliver(self)

    async def pass_time(self) -> None:
        """Let the time come that was asked for."""
        ((room, seconds),) = self.asked
        self.asked.clear()
        self.clock.advance(seconds)
        self.calm.is_due(room)
        await deliver(self)


def said(room: str, offset: int, symbol: str = "a", exclude: str = "") -> Publication:
    data = orjson.dumps({"s": symbol, "n": offset})
    name = without(room, exclude) if exclude else room
    return Publication(name, data, offset, EPOCH if offset else "")


def pushes(sink: RecordingSink) -> list[dict[str, object]]:
    return [orjson.loads(text) for text in sink.texts]


async def test_first_goes_at_once_and_the_rest_in_one_write() -> None:
    """The members of the room get all of it, in two writes; another room gets its own at once."""
    hub = CalmHub()
    member, other = hub.member(hub.live_room("calm")), hub.member(hub.live_room("other"))
    await hub.say(said("calm", 1))
    assert offsets_of(member) == [1]
    for offset in (2, 3, 4):
        await hub.say(said("calm", offset), said("other", offset - 1))
    assert (member.writes, other.writes) == (1, 3)
    assert hub.backlog > 0
    await hub.pass_time()
    assert offsets_of(member) == [1, 2, 3, 4]
    assert member.writes == 2
    assert hub.calm.delayed == 3
    assert hub.backlog == hub.calm.size == 0
    assert hub.asked == []


async def test_quiet_room_is_written_to_at_once_again() -> None:
    """The pause counts from the last write."""
    hub = CalmHub()
    member = hub.member(hub.live_room("calm"))
    await hub.say(said("calm", 1))
    hub.clock.advance(0.25)
    await hub.say(said("calm", 2))
    assert offsets_of(member) == [1, 2]
    assert hub.asked == []


async def test_conflated_members_are_told_what_each_push_follows() -> None:
    """Of each key the newest, and what was left out is counted."""
    hub = CalmHub()
    member = hub.member(hub.live_room("prices"))
    await hub.say(said("prices", 1, "a"))
    await hub.say(*(said("prices", offset, "ab"[offset % 2]) for offset in range(2, 8)))
    await hub.pass_time()
    assert [(push["offset"], push.get("after")) for push in pushes(member)] == [
        (1, None),
        (6, 1),
        (7, None),
    ]
    assert hub.calm.conflated == 4


async def test_member_that_came_meanwhile_gets_what_follows_its_place() -> None:
    """It knows what was published before it came, though the others have not got that yet."""
    hub = CalmHub()
    room = hub.live_room("calm")
    member = hub.member(room)
    await hub.say(said("calm", 1))
    await hub.say(said("calm", 2), said("calm", 3))
    assert room.position == Position(3, EPOCH)
    late = hub.member(room)
    await hub.say(said("calm", 4))
    await hub.pass_time()
    assert offsets_of(member) == [1, 2, 3, 4]
    assert offsets_of(late) == [4]


async def test_too_much_is_not_waited_for() -> None:
    """Past what all calm rooms may hold together a room is written to at once."""
    hub = CalmHub(limit=50)
    member = hub.member(hub.live_room("calm"))
    for offset in range(1, 10):
        await hub.say(said("calm", offset))
    assert member.writes > 2
    assert hub.calm.size <= 50


async def test_reset_comes_after_what_waits() -> None:
    """What the node has is not lost by it; of another epoch it can't be compared."""
    for epoch, offsets in ((EPOCH, [1, 2, 3, -7, 8]), ("z9z9z9z9", [1, -7, 8])):
        hub = CalmHub()
        room = hub.live_room("calm")
        member = hub.member(room)
        await hub.say(said("calm", 1))
        await hub.say(said("calm", 2), said("calm", 3))
        hub.miss(room)
        hub.ask(room)
        after = Publication("calm", b"1", 8, epoch)
        reply = JoinReply(
            leased=True,
            position=Position(8, epoch),
            recovered=False,
            publications=[after],
            start=7,
        )
        hub.admit(room, reply)
        await deliver(hub)
        assert offsets_of(member) == offsets
        assert hub.calm.size == 0


async def test_sender_is_left_out_of_a_conflated_room() -> None:
    """It is told the offset, and what that follows."""
    hub = CalmHub()
    room = hub.live_room("prices")
    member, hub.clients["me"] = hub.member(room), hub.member(room)
    await hub.say(said("prices", 1))
    await hub.say(said("prices", 2), said("prices", 3, exclude="me"))
    await hub.pass_time()
    assert pushes(hub.clients["me"])[1] == {"room": "prices", "offset": 3, "after": 1}
    assert pushes(member)[1] == {
        "room": "prices",
        "offset": 3,
        "after": 1,
        "data": {"s": "a", "n": 3},
    }


async def test_nothing_is_kept_of_a_room_that_nobody_is_in() -> None:
    """What waited goes with the room; the timer that is still running finds nothing."""
    hub = CalmHub()
    room = hub.live_room("calm")
    member = hub.member(room)
    await hub.say(said("calm", 1))
    await hub.say(said("calm", 2))
    hub.leave("calm", member)
    hub.forget(room)
    assert hub.backlog == 0
    await hub.pass_time()
    assert offsets_of(member) == [1]


async def test_newest_follows_what_members_were_told() -> None:
    """A cache room knows its newest publication without asking; another epoch's is forgotten."""
    hub = CalmHub()
    room = hub.live_room("now")
    hub.member(room)
    await hub.say(said("now", 1), said("now", 2))
    assert room.special is not None
    assert room.special.newest == said("now", 2)
    hub.miss(room)
    hub.ask(room)
    gone = Position(0, "z9z9z9z9")
    hub.admit(
        room, JoinReply(leased=True, position=gone, recovered=False, publications=[], start=0)
    )
    await deliver(hub)
    assert room.special.newest is None


async def test_newest_is_told_though_the_history_is_gone() -> None:
    """Members that were cut off for longer than the history lasts get the newest all the same."""
    hub = CalmHub()
    room = hub.live_room("now")
    member = hub.member(room)
    hub.miss(room)
    hub.ask(room)
    hub.admit(
        room,
        JoinReply(
            leased=True,
            position=Position(9, EPOCH),
            recovered=False,
            publications=[],
            start=9,
            newest=said("now", 9),
        ),
    )
    await deliver(hub)
    assert offsets_of(member) == [-8, 9]
    assert room.position == Position(9, EPOCH)


def test_most_rooms_have_nothing_special() -> None:
    """Without such rules no room is looked at; with them only those that they name have more."""
    assert specials_of(LayerOptions())("prices") is None
    special = specials_of(OPTIONS)
    assert special("other") is None
    assert special("now") is not None
