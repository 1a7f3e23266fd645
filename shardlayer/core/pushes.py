"""How a publication reads on a client's connection.

`{"room":"general","offset":43,"data":{…}}`: the data is spliced in as the publisher marshalled
it, so that nothing between the publisher and the client parses JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from shardlayer.core.frames import Broadcast
from shardlayer.core.types import Position, Publication


def encode_push(publication: Publication) -> bytes:
    """Return the JSON text of a push; `offset` is left out in a room that keeps no history.

    A room's name has only letters, digits, `-`, `_` and `.`, so it needs no escaping.
    """
    if publication.offset:
        return b'{"room":"%b","offset":%d,"data":%b}' % (
            publication.room.encode("ascii"),
            publication.offset,
            publication.data,
        )
    return b'{"room":"%b","data":%b}' % (publication.room.encode("ascii"), publication.data)


def encode_passed(room: str, offset: int, after: int | None = None) -> bytes:
    """Return the JSON text that moves a member on past a publication that it does not get.

    `{"room":"general","offset":43}`; `after` as in `encode_calmed`.
    """
    return b'{"room":"%b","offset":%d%b}' % (room.encode("ascii"), offset, _after(after))


def encode_calmed(publication: Publication, after: int | None, *, replayed: bool) -> bytes:
    """Return the JSON text of a push that stands for others, which members do not get.

    `{"room":"prices","offset":50,"after":43,"data":{…}}`: nothing that the member needs lies
    between the offset `after` and this one. None: it is the one before.
    """
    if after is None:
        return encode_replayed(publication) if replayed else encode_push(publication)
    return b'{"room":"%b","offset":%d%b%b,"data":%b}' % (
        publication.room.encode("ascii"),
        publication.offset,
        _after(after),
        b',"replayed":true' if replayed else b"",
        publication.data,
    )


def _after(offset: int | None) -> bytes:
    return b"" if offset is None else b',"after":%d' % offset


def encode_replayed(publication: Publication) -> bytes:
    """Return the JSON text of a push that comes from the room's history, and says so."""
    return b'{"room":"%b","offset":%d,"replayed":true,"data":%b}' % (
        publication.room.encode("ascii"),
        publication.offset,
        publication.data,
    )


def encode_reset(room: str, position: Position) -> bytes:
    """Return the JSON text that tells members that they may have missed publications.

    `{"room":"general","reset":{"offset":42,"epoch":"k3"}}`: what follows comes after this position,
    and what lies between it and the last push is not known or gone.
    """
    return b'{"room":"%b","reset":{"offset":%d,"epoch":"%b"}}' % (
        room.encode("ascii"),
        position.offset,
        position.epoch.encode("ascii"),
    )


class Reset(Broadcast):
    """Tells the members of a room that they may have missed publications.

    Attributes:
        position: Where they are now.
    """

    __slots__ = ("position",)

    def __init__(self, room: str, position: Position) -> None:
        super().__init__([encode_reset(room, position)], [0])
        self.position = position


class PresencePush(Broadcast):
    """Tells the members of a room who came and who went. It has no place in the room's history."""

    __slots__ = ()


def encode_presence(
    room: str, people: int, came: Mapping[str, bytes], went: Iterable[str], more: int = 0
) -> bytes:
    """Return the JSON text that says who came to a room and who went.

    `{"room":"general","presence":{"people":3,"came":[{"person":"7","info":{…}}],"went":["8"]}}`.
    What a person carries is spliced in as JSON text, if there is any. `more` came or went besides
    who are not named.
    """
    arrived = b",".join(
        b'{"person":%b%b}' % (_quoted(person), b',"info":%b' % info if info else b"")
        for person, info in came.items()
    )
    return b'{"room":"%b","presence":{"people":%d,"came":[%b],"went":[%b]%b}}' % (
        room.encode("ascii"),
        people,
        arrived,
        b",".join(map(_quoted, went)),
        b',"more":%d' % more if more else b"",
    )


def _quoted(text: str) -> bytes:
    return json.dumps(text, ensure_ascii=False).encode()


def encode_announcement(data: bytes) -> bytes:
    """Return the JSON text of an announcement, `{"announcement":{…}}`."""
    return b'{"announcement":%b}' % data
