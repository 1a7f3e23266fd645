"""How a publication reads on a client's connection.

`{"room":"general","offset":43,"data":{…}}`: the data is spliced in as the publisher marshalled
it, so that nothing between the publisher and the client parses JSON.
"""

from __future__ import annotations

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


def encode_announcement(data: bytes) -> bytes:
    """Return the JSON text of an announcement, `{"announcement":{…}}`."""
    return b'{"announcement":%b}' % data
