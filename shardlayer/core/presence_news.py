"""What nodes are told of people who come to a room and go: the payload of `wire.Kind.PRESENCE`.

All integers are unsigned and big-endian.

    news  := people:4  event*
    event := sign:1  person_length:2  person:person_length  info_length:2  info:info_length

`people` is how many are in the room after the last event. `sign` is `+` for a person who came,
whose first connection carries `info`, and `-` for one who went, with none. announce.lua packs the
same.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

from shardlayer.core.exceptions import WireError

CAME, WENT = ord("+"), ord("-")

_people = struct.Struct(">I")
_person = struct.Struct(">BH")
_info = struct.Struct(">H")


class PersonEvent(NamedTuple):
    """A person who came to a room, or went.

    Attributes:
        came: Whether they came.
        person: Who.
        info: What their first connection carries; empty if they went.
    """

    came: bool
    person: str
    info: bytes = b""


class PresenceNews(NamedTuple):
    """Who came and went in a room, in order, and how many people are there then."""

    people: int
    events: Sequence[PersonEvent]


def pack_news(news: PresenceNews) -> bytes:
    """Return the payload that says it."""
    parts = [_people.pack(news.people)]
    for came, person, info in news.events:
        name = person.encode()
        parts += [
            _person.pack(CAME if came else WENT, len(name)),
            name,
            _info.pack(len(info)),
            info,
        ]
    return b"".join(parts)


def unpack_news(payload: bytes) -> PresenceNews:
    """Return what a payload says.

    Raises:
        WireError: If it is cut short, or names nobody.
    """
    events: list[PersonEvent] = []
    try:
        (people,) = _people.unpack_from(payload)
        at = _people.size
        while at < len(payload):
            sign, length = _person.unpack_from(payload, at)
            at += _person.size
            person = payload[at : at + length].decode()
            at += length
            (length,) = _info.unpack_from(payload, at)
            at += _info.size
            info = payload[at : at + length]
            at += length
            if sign not in (CAME, WENT) or not person or at > len(payload):
                raise WireError("News of who is in a room are cut short, or of no known kind.")
            events.append(PersonEvent(sign == CAME, person, info))
    except (struct.error, UnicodeDecodeError) as error:
        raise WireError(f"News of who is in a room can't be read: {error}.") from error
    return PresenceNews(people, events)
