"""Answers to commands, as a client parses them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, cast

from realtime.clients.protocol import replies
from realtime.clients.protocol.commands import ProtocolError, Subscribe, Wanted
from shardlayer import Joined, Position, Publication


@dataclass
class Answer:
    """What of a `Joined` an answer shows."""

    room: str
    position: Position | None
    recovered: bool
    publications: list[Publication]


def joined(
    *,
    position: Position | None = None,
    recovered: bool = False,
    publications: tuple[Publication, ...] = (),
) -> Joined:
    """Return a membership of the room `general`, without a hub."""
    return cast(
        Joined,
        Answer(
            room="general",
            position=position,
            recovered=recovered,
            publications=list(publications),
        ),
    )


def read(reply: bytes) -> Any:
    """Return what a client reads."""
    return json.loads(reply)


def test_error() -> None:
    """An error names code and message, and the id or null."""
    error = ProtocolError("forbidden", 'You may not "€".', 1)
    assert read(replies.error(error)) == {
        "id": 1,
        "error": {"code": "forbidden", "message": 'You may not "€".'},
    }
    assert read(replies.error(ProtocolError("bad_json", "x")))["id"] is None


def test_connected() -> None:
    """The answer to connect names the node, and the user with their own room, or nulls."""
    assert read(replies.connected(1, node="n1", client="c", user=None, room=None)) == {
        "id": 1,
        "connected": {"node": "n1", "client": "c", "user": None, "room": None},
    }
    answer = read(replies.connected(1, node="n1", client="c", user="Ada", room="user.1"))
    assert answer["connected"] == {"node": "n1", "client": "c", "user": "Ada", "room": "user.1"}


def test_subscribed_to_one() -> None:
    """One room is answered with an object; publications' data are spliced in."""
    command = Subscribe(id=1, rooms=(Wanted(room="general"),), many=False)
    item = replies.subscribed_item(
        joined(
            position=Position(offset=43, epoch="k3"),
            recovered=True,
            publications=(
                Publication(room="general", data=b'{"a": 1}', offset=42, epoch="k3"),
                Publication(room="general", data=b"null", offset=43, epoch="k3"),
            ),
        )
    )
    assert read(replies.subscribed(command, [item])) == {
        "id": 1,
        "subscribed": {
            "room": "general",
            "offset": 43,
            "epoch": "k3",
            "recovered": True,
            "publications": [{"offset": 42, "data": {"a": 1}}, {"offset": 43, "data": None}],
        },
    }


def test_subscribed_to_several() -> None:
    """A list is answered with a list, errors in their places, even a list of one."""
    command = Subscribe(id=0, rooms=(Wanted(room="general"),), many=True)
    refused = replies.refused_item('a "b"', ProtocolError("bad_room", "No."))
    answer = read(replies.subscribed(command, [replies.subscribed_item(joined()), refused]))
    assert answer == {
        "id": 0,
        "subscribed": [
            {"room": "general", "recovered": False, "publications": []},
            {"room": 'a "b"', "error": {"code": "bad_room", "message": "No."}},
        ],
    }
    assert isinstance(read(replies.subscribed(command, [refused]))["subscribed"], list)


def test_the_other_answers() -> None:
    """Each of the others is answered under its own name, those that do something in the past."""
    assert read(replies.unsubscribed(2, room="a")) == {"id": 2, "unsubscribed": {"room": "a"}}
    position = Position(offset=43, epoch="k3")
    assert read(replies.published(3, room="a", position=position)) == {
        "id": 3,
        "published": {"room": "a", "offset": 43, "epoch": "k3"},
    }
    assert read(replies.published(3, room="a", position=None)) == {
        "id": 3,
        "published": {"room": "a"},
    }
    publications = [Publication(room="a", data=b'{"x": 1}', offset=43, epoch="k3")]
    answer = replies.history(5, room="a", position=position, publications=publications)
    assert read(answer) == {
        "id": 5,
        "history": {
            "room": "a",
            "offset": 43,
            "epoch": "k3",
            "publications": [{"offset": 43, "data": {"x": 1}}],
        },
    }
    assert read(replies.history(5, room="a", position=None, publications=[])) == {
        "id": 5,
        "history": {"room": "a", "publications": []},
    }
    assert read(replies.pong(4)) == {"id": 4, "pong": {}}
