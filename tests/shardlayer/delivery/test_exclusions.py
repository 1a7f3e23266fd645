"""A publication that one member does not get."""

from __future__ import annotations

import orjson

from shardlayer.core.client_names import without
from shardlayer.core.types import Publication
from shardlayer.delivery.exclusions import Exclusions
from shardlayer.delivery.hub import Hub
from tests.shardlayer.delivery.test_hub import (
    EPOCH,
    HubUnderTest,
    answer,
    deliver,
    offsets_of,
    publications,
)
from tests.shardlayer.fakes import BrokenSink, RecordingSink


def hub_with(clients: dict[str, RecordingSink], slice_size: int = 1_000) -> HubUnderTest:
    """Return a hub that knows these clients."""
    hub = HubUnderTest(slice_size=slice_size)
    hub._exclusions = Exclusions(clients)
    return hub


def excluding(client: str, offset: int, room: str = "general") -> Publication:
    """Return a publication that a client does not get."""
    epoch = EPOCH if offset else ""
    return Publication(without(room, client), b'"mine"', offset, epoch)


def pushes(sink: RecordingSink) -> list[dict[str, object]]:
    """Return what a sink got."""
    return [orjson.loads(text) for text in sink.texts]


async def test_one_member_is_told_the_offset_alone() -> None:
    """All others get it, in order with what is around it, and what is around it is joined."""
    clients: dict[str, RecordingSink] = {}
    hub = hub_with(clients)
    room = hub.live_room()
    other, sender, third = hub.member(room), hub.member(room), hub.member(room)
    clients["me"] = sender
    around = publications("general", 1, 2, 4)
    hub.feed([*around[:2], excluding("me", 3), around[2]])
    await deliver(hub)
    assert offsets_of(sender) == offsets_of(other) == offsets_of(third) == [1, 2, 3, 4]
    assert pushes(sender)[2] == {"room": "general", "offset": 3}
    assert pushes(other)[2] == {"room": "general", "offset": 3, "data": "mine"}
    assert pushes(third) == pushes(other)
    assert hub.delivered == 12


async def test_two_senders_are_each_left_out_once() -> None:
    """Each gets what the other has published."""
    clients: dict[str, RecordingSink] = {}
    hub = hub_with(clients)
    room = hub.live_room()
    clients["a"], clients["b"] = hub.member(room), hub.member(room)
    hub.feed([excluding("a", 1), excluding("b", 2)])
    await deliver(hub)
    assert [push.get("data") for push in pushes(clients["a"])] == [None, "mine"]
    assert [push.get("data") for push in pushes(clients["b"])] == ["mine", None]


async def test_room_without_history_tells_nothing_instead() -> None:
    """Where there is no offset the sender hears nothing at all."""
    clients: dict[str, RecordingSink] = {}
    hub = hub_with(clients)
    room = hub.plain_room()
    other, sender = hub.member(room), hub.member(room)
    clients["me"] = sender
    hub.feed([excluding("me", 0, "plain")])
    await deliver(hub)
    assert sender.texts == []
    assert len(other.texts) == 1


async def test_who_is_unknown_or_elsewhere_excludes_nobody() -> None:
    """A name of another node, and of a client in another room, change nothing."""
    clients: dict[str, RecordingSink] = {}
    hub = hub_with(clients)
    room, other = hub.live_room(), hub.live_room("other")
    member, clients["elsewhere"] = hub.member(room), hub.member(other)
    hub.feed([excluding("nobody", 1), excluding("elsewhere", 2)])
    await deliver(hub)
    assert [push["data"] for push in pushes(member)] == ["mine", "mine"]
    assert not hub._exclusions.by_room


async def test_large_room_is_written_in_slices_and_one_is_left_out() -> None:
    """In whichever slice the sender is."""
    clients: dict[str, RecordingSink] = {}
    hub = hub_with(clients, slice_size=2)
    room = hub.live_room()
    members = [hub.member(room) for _ in range(5)]
    clients["me"] = members[3]
    hub.feed([excluding("me", 1)])
    await deliver(hub)
    assert [len(member.texts) for member in members] == [1] * 5
    assert ["data" in pushes(member)[0] for member in members] == [True, True, True, False, True]


async def test_sender_behind_a_gate_is_left_out_too() -> None:
    """A member whose reply was not yet written hears of the offset after it."""
    clients: dict[str, RecordingSink] = {}
    hub = hub_with(clients)
    room = hub.live_room()
    sender = RecordingSink()
    gate = hub.join(room, sender)
    clients["me"] = sender
    floor = room.position
    hub.feed([excluding("me", 1)])
    await deliver(hub)
    assert sender.texts == []
    gate.open(floor)
    assert pushes(sender) == [{"room": "general", "offset": 1}]


async def test_what_a_room_missed_leaves_the_sender_out_as_well() -> None:
    """The history knows whom a publication was not for."""
    clients: dict[str, RecordingSink] = {}
    hub = hub_with(clients)
    room = hub.live_room()
    other, sender = hub.member(room), hub.member(room)
    clients["me"] = sender
    hub.feed(publications("general", 3))
    await deliver(hub)
    assert hub.gaps == [room]
    hub.ask(room)
    second = Publication("general", b'"mine"', 2, EPOCH, exclude="me")
    hub.admit(room, answer(2, *publications("general", 1), second))
    await deliver(hub)
    assert offsets_of(other) == offsets_of(sender) == [1, 2, 3]
    assert "data" not in pushes(sender)[1]
    assert "data" in pushes(other)[1]


async def test_a_broken_sender_is_removed_like_any_member() -> None:
    """Being told of the offset may fail as any write may."""
    clients: dict[str, RecordingSink] = {}
    hub = hub_with(clients)
    room = hub.live_room()
    broken = BrokenSink()
    clients["me"] = hub.member(room, broken)
    other = hub.member(room)
    hub.feed([excluding("me", 1)])
    await deliver(hub)
    assert broken not in room.sinks
    assert len(other.texts) == 1
    assert hub.failed == 1


def test_hub_without_clients_excludes_nobody() -> None:
    """The names are optional."""
    assert isinstance(HubUnderTest(), Hub)


async def test_room_is_found_by_the_name_that_was_heard() -> None:
    """Also where what waits is dropped: the room asks for it again."""
    clients: dict[str, RecordingSink] = {}
    hub = hub_with(clients)
    room = hub.live_room()
    hub.member(room)
    hub._max_backlog = 0
    assert not hub.feed([excluding("me", 1)])
    assert hub.gaps == [room]
    assert hub.unwanted == 0
