"""How a publication reads on a client's connection.

`{"room":"general","offset":43,"data":{…}}`: the data is spliced in as the publisher marshalled
it, so that nothing between the publisher and the client parses JSON.
"""

from __future__ import annotations

from shardlayer.types import Publication


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
