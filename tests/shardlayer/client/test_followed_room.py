"""What a client hands on of a room: each publication once, in order, and the gaps."""

from __future__ import annotations

from typing import Any

import pytest

from shardlayer.client import BEGINNING, Position, RoomGap, RoomMessage
from shardlayer.client.client_backoff import BACKOFF_CAP, backoff_delay, return_delay
from shardlayer.client.client_error import RoomClientError
from shardlayer.client.followed_room import LEAP, FollowedRoom, Following, Step, count_between
from shardlayer.client.sending_again import send_until_taken

EPOCH = "epoch-01"


def reply(offset: int, *offsets: int, recovered: bool = True, epoch: str = EPOCH) -> dict[str, Any]:
    """Return a reply to `subscribe`, with publications of these offsets."""
    publications = [{"offset": each, "data": each} for each in offsets]
    return {"offset": offset, "epoch": epoch, "recovered": recovered, "publications": publications}


def push(offset: int, **more: Any) -> dict[str, Any]:
    """Return a push of a publication."""
    return {"room": "a", "offset": offset, "data": offset, **more}


def told(steps: list[Step]) -> list[Any]:
    """Return the data of messages; of a gap, how many are missing."""
    return [
        step.data if isinstance(step, RoomMessage) else ("gap", step.missed) for step, _ in steps
    ]


def joined_at(offset: int, *, most_held: int = 100) -> FollowedRoom:
    """Return a room that stands there."""
    room = FollowedRoom("a", None, most_held=most_held)
    assert room.ask() == {"room": "a"}
    assert room.accept(reply(offset, recovered=False)) == []
    return room


def test_begins_now_or_with_all_there_is_or_at_a_position() -> None:
    """Only who names a place, and does not get all behind it, has a gap."""
    room = joined_at(7)
    assert room.position == Position(7, EPOCH)
    assert told(room.push(push(8))) == [8]
    room = FollowedRoom("a", BEGINNING, most_held=9)
    assert room.ask() == {"room": "a", "offset": 0, "epoch": ""}
    assert told(room.accept(reply(9, 8, 9, recovered=False))) == [8, 9]
    room = FollowedRoom("a", Position(2, EPOCH), most_held=9)
    room.ask()
    assert told(room.accept(reply(9, 8, 9, recovered=False))) == [("gap", 5), 8, 9]


def test_what_is_pushed_before_the_reply_waits_and_comes_once() -> None:
    """The reply first, then what was held beyond it."""
    room = joined_at(1)
    room.leave_off()
    assert room.push(push(2)) == []
    room.ask()
    assert [room.push(push(each)) for each in (3, 4)] == [[], []]
    assert told(room.accept(reply(3, 2, 3))) == [2, 3, 4]
    assert room.position == Position(4, EPOCH)
    assert room.accept(reply(3, 2, 3)) == []  # it comes too late


def test_a_hole_has_the_server_asked_and_is_owned_up_to_if_it_stays() -> None:
    """A push that does not follow waits for the answer."""
    room = joined_at(1)
    assert room.push(push(3)) == []
    assert room.state is Following.AWAY
    room.ask()
    assert told(room.accept(reply(2, 2))) == [2, 3]
    assert room.push(push(6)) == []
    room.ask()
    assert told(room.accept(reply(4, 4))) == [("gap", 1), 4, 6]


def test_pushes_of_which_some_are_left_out() -> None:
    """`after`, a leap, one's own, one that came before: each moves the position as it should."""
    room = joined_at(1)
    assert told(room.push(push(9, after=1))) == [9]
    assert told(room.push(push(9, replayed=True))) == []
    assert room.push({"room": "a", "offset": 10}) == []
    assert told(room.push(push(LEAP + 11))) == [LEAP + 11]
    assert room.state is Following.JOINED
    assert room.position == Position(LEAP + 11, EPOCH)
    assert count_between(Position(10, EPOCH), Position(LEAP + 11, EPOCH)) is None


def test_a_reset_and_a_new_epoch_are_gaps() -> None:
    """The room goes on from where the server says."""
    room = joined_at(5)
    [(gap, position)] = room.reset({"offset": 9, "epoch": EPOCH})
    assert gap == RoomGap(room="a", since=Position(5, EPOCH), position=Position(9, EPOCH), missed=4)
    assert position == Position(9, EPOCH)
    room.leave_off()
    room.ask()
    assert told(room.accept(reply(2, recovered=False, epoch="epoch-02"))) == [("gap", None)]
    assert told(room.push(push(3))) == [3]


def test_what_is_held_is_bounded_and_the_rest_is_asked_for() -> None:
    """With a history nothing is missed by that; without one there is a gap."""
    room = joined_at(1, most_held=2)
    room.leave_off()
    room.ask()
    for offset in (2, 3, 4):
        room.push(push(offset))
    assert told(room.accept(reply(1))) == [2, 3]
    assert room.state is Following.AWAY
    assert room.ask()["offset"] == 3
    assert told(room.accept(reply(4, 4))) == [4]
    bare = FollowedRoom("a", None, most_held=1)
    bare.ask()
    for number in (1, 2):
        bare.push({"room": "a", "data": number})
    assert told(bare.accept({"room": "a", "recovered": False})) == [("gap", None), 1]


def test_waits_double_up_to_their_cap_and_are_by_chance() -> None:
    """A server's own wish is taken, if it makes sense."""
    for attempt in range(900):
        assert 0 <= backoff_delay(attempt) <= min(BACKOFF_CAP, 0.5 * 2**attempt)
    assert len({backoff_delay(9) for _ in range(9)}) == 9
    assert [return_delay(each) for each in (412, 10**9, -1, None, "1", True, float("nan"))] == [
        *(0.412, BACKOFF_CAP),
        *([None] * 5),
    ]


async def test_sending_again_ends_with_the_time_or_a_final_refusal() -> None:
    """What may pass is tried again; what is sure is not."""
    failures = ["lost", "unavailable", "forbidden"]

    async def send() -> None:
        raise RoomClientError(failures.pop(0), "no")

    with pytest.raises(RoomClientError, match="lost"):
        await send_until_taken(send, 0)
    with pytest.raises(RoomClientError, match="forbidden"):
        await send_until_taken(send, 60)
    with pytest.raises(ValueError, match="240"):
        await send_until_taken(send, 241)
