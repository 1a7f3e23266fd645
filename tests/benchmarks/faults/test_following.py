"""A recording client is handed what client.js would hand to its application."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from benchmarks.faults.clients import connection, recorder
from benchmarks.faults.clients.following import TOLD, Following

CLIENT = Path(__file__).resolve().parents[3] / "clients" / "js" / "src"


def reply(offset: int, *, recovered: bool = False, data: str = "") -> dict[str, Any]:
    """Return a reply with one publication for each letter, the last of them at `offset`."""
    first = offset - len(data) + 1
    publications = [{"offset": first + i, "data": letter} for i, letter in enumerate(data)]
    return {
        "room": "a",
        "offset": offset,
        "epoch": "e",
        "recovered": recovered,
        "publications": publications,
    }


def push(offset: int, data: str) -> dict[str, Any]:
    return {"room": "a", "offset": offset, "data": data}


@pytest.fixture
def room() -> Following:
    """A room that was joined at offset 5."""
    following = Following("a")
    assert following.accept(reply(5)) == []
    return following


def test_first_reply_tells_nothing() -> None:
    """Who never was there can't have missed anything, and asks for no position."""
    room = Following("a")
    assert (room.request, room.positioned) == ({"room": "a"}, False)
    assert not room.push(push(5, "early"))
    assert room.accept(reply(5)) == []
    assert room.request == {"room": "a", "offset": 5, "epoch": "e"}


def test_what_follows_is_handed_on(room: Following) -> None:
    """A push that follows the last one moves the position."""
    assert room.push(push(6, "x"))
    assert room.request["offset"] == 6


@pytest.mark.parametrize("offset", [5, 7])
def test_what_does_not_follow_is_held(room: Following, offset: int) -> None:
    """A number that was skipped or comes again has the client ask, and hold what comes."""
    assert not room.push(push(offset, "x"))
    assert not room.joined
    assert not room.push(push(8, "y"))
    brought = room.accept(reply(7, recovered=True, data="ab"))
    assert brought == ["a", "b", "y"]


def test_coming_back(room: Following) -> None:
    """What was missed comes before what was pushed, each once, and nobody is told anything."""
    room.hold()
    room.push(push(7, "b"))
    room.push(push(8, "c"))
    assert room.accept(reply(7, recovered=True, data="ab")) == ["a", "b", "c"]


def test_client_is_told_first(room: Following) -> None:
    """Where the server can't recover all, that is said before what there is."""
    room.hold()
    assert room.accept(reply(9, recovered=False, data="d")) == [TOLD, "d"]


def test_hole_that_stays_is_told(room: Following) -> None:
    """A push held that does not follow even the reply is owned up to."""
    room.hold()
    room.push(push(9, "d"))
    assert room.accept(reply(7, recovered=True, data="ab")) == ["a", "b", TOLD, "d"]


def test_reset_moves_the_position(room: Following) -> None:
    """A reset tells a client that has joined; to one that has not, the reply will."""
    assert room.reset({"offset": 2, "epoch": "f"})
    assert room.request == {"room": "a", "offset": 2, "epoch": "f"}
    room.hold()
    assert not room.reset({"offset": 0, "epoch": "g"})


@pytest.mark.parametrize(
    ("file", "name", "value", "milliseconds"),
    [
        ("backoff.js", "BACKOFF_BASE", recorder.BACKOFF_BASE, True),
        ("backoff.js", "BACKOFF_CAP", recorder.BACKOFF_CAP, True),
        ("client.js", "STABLE_AFTER", recorder.STABLE_AFTER, True),
        ("rooms.js", "FIRST_ATTEMPT", recorder.FIRST_ATTEMPT, False),
        ("connection.js", "REQUEST_TIMEOUT", recorder.REQUEST_TIMEOUT, True),
        ("connection.js", "OPEN_TIMEOUT", connection.OPEN_TIMEOUT, True),
        ("heartbeat.js", "HEARTBEAT", connection.HEARTBEAT, True),
        ("heartbeat.js", "PONG_TIMEOUT", connection.PONG_TIMEOUT, True),
    ],
)
def test_times_are_those_of_client_js(
    file: str, name: str, value: float, milliseconds: bool
) -> None:
    """The client of the benchmark is as patient as the real one."""
    (found,) = re.findall(rf"const {name} = ([\d_]+);", (CLIENT / file).read_text())
    assert int(found) == value * (1000 if milliseconds else 1)
