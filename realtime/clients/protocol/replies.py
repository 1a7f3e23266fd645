"""Answers to commands, and the worker's last words, as JSON text in UTF-8, without I/O."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from realtime.clients.protocol.commands import ProtocolError, Subscribe
from shardlayer import Joined, Position, Publication


def error(error: ProtocolError) -> bytes:
    """Return the answer to a command that failed."""
    return b'{"id":%b,"error":%b}' % (orjson.dumps(error.id), _error_body(error))


def connected(
    id: int,
    *,
    node: str,
    client: str,
    user: str | None,
    room: str | None,
    resumed: bool | None = None,
) -> bytes:
    """Return the answer to connect: the node's id; the user's name and own room, or nulls.

    `client` is the connection's own id, by which a publication may leave it out.
    `resumed` says whether the note counted, if the client brought one.
    """
    body: dict[str, object] = {"node": node, "client": client, "user": user, "room": room}
    if resumed is not None:
        body["resumed"] = resumed
    return orjson.dumps({"id": id, "connected": body})


def note(id: int, *, note: str | None, renew: float) -> bytes:
    """Return the answer to note; `renew` is in how many seconds to ask again, 0 is never."""
    return orjson.dumps({"id": id, "note": {"note": note, "renew": renew}})


def renew(*, within: float) -> bytes:
    """Return the push that asks a client to sign in again, within so many seconds."""
    return orjson.dumps({"renew": {"within": within}})


def put_out(room: str) -> bytes:
    """Return the push that tells a client that it is in a room no more."""
    return b'{"room":"%b","unsubscribed":{"code":"forbidden"}}' % room.encode("ascii")


def subscribed(command: Subscribe, items: Sequence[bytes]) -> bytes:
    """Return the answer to subscribe, of one item for each of the command's rooms in order.

    Items are made by `subscribed_item` and `refused_item`. The answer to a single room that was
    refused is `error`, not this.
    """
    body = b"[%b]" % b",".join(items) if command.many else items[0]
    return b'{"id":%d,"subscribed":%b}' % (command.id, body)


def subscribed_item(joined: Joined) -> bytes:
    """Return what a client learns of a room that it joined.

    `offset` and `epoch` are left out where no history is kept. The publications' data are spliced
    in as their publishers marshalled them.
    """
    return b'{"room":"%b",%b"recovered":%b,"publications":%b}' % (
        joined.room.encode("ascii"),
        _position(joined.position),
        b"true" if joined.recovered else b"false",
        _listed(joined.publications),
    )


def refused_item(room: str, error: ProtocolError) -> bytes:
    """Return what a client learns of a room of its list that it could not join."""
    return b'{"room":%b,"error":%b}' % (orjson.dumps(room), _error_body(error))


def unsubscribed(id: int, *, room: str) -> bytes:
    """Return the answer to unsubscribe."""
    return orjson.dumps({"id": id, "unsubscribed": {"room": room}})


def published(id: int, *, room: str, position: Position | None) -> bytes:
    """Return the answer to publish; without offset and epoch where no history is kept."""
    body: dict[str, object] = {"room": room}
    if position is not None:
        body |= {"offset": position.offset, "epoch": position.epoch}
    return orjson.dumps({"id": id, "published": body})


def history(
    id: int,
    *,
    room: str,
    position: Position | None,
    publications: Sequence[Publication],
    more: int = 0,
) -> bytes:
    """Return the answer to history; without offset and epoch where no history is kept.

    `more` is how many of those that were asked for may be had with another command, if any.
    """
    return b'{"id":%d,"history":{"room":"%b",%b%b"publications":%b}}' % (
        id,
        room.encode("ascii"),
        _position(position),
        b'"more":%d,' % more if more else b"",
        _listed(publications),
    )


def presence(
    id: int, *, room: str, people: int, connections: int, persons: Sequence[bytes], more: bool
) -> bytes:
    """Return the answer to presence; `persons` are made by `person`."""
    return b'{"id":%d,"presence":{"room":"%b","people":%d,"connections":%d,"persons":[%b]%b}}' % (
        id,
        room.encode("ascii"),
        people,
        connections,
        b",".join(persons),
        b',"more":true' if more else b"",
    )


def person(
    name: str, *, connections: int, infos: Sequence[bytes] = (), fields: bytes | None = None
) -> bytes:
    """Return what a client learns of a person in a room.

    Infos and fields are JSON text. They are left out where there are none.
    """
    return b'{"person":%b,"connections":%d%b%b}' % (
        orjson.dumps(name),
        connections,
        b',"infos":[%b]' % b",".join(infos) if infos else b"",
        b',"fields":%b' % fields if fields is not None else b"",
    )


def pong(id: int) -> bytes:
    """Return the answer to ping."""
    return b'{"id":%d,"pong":{}}' % id


def own(id: int, *, name: str, value: bytes) -> bytes:
    """Return the answer to a command of the project's; `value` is JSON text."""
    return b'{"id":%d,%b:%b}' % (id, orjson.dumps(name), value)


def reconnect(seconds: float) -> bytes:
    """Return what a client is told before its worker closes the connection, being stopped."""
    return b'{"reconnect":{"after_ms":%d}}' % round(seconds * 1000)


def _position(position: Position | None) -> bytes:
    """Return the members of an object that name a position, with a comma behind; or nothing."""
    if position is None:
        return b""
    return b'"offset":%d,"epoch":%b,' % (position.offset, orjson.dumps(position.epoch))


def _listed(publications: Sequence[Publication]) -> bytes:
    """Return a list of publications, whose data are spliced in as they were published."""
    items = (b'{"offset":%d,"data":%b}' % (item.offset, item.data) for item in publications)
    return b"[%b]" % b",".join(items)


def _error_body(error: ProtocolError) -> bytes:
    return b'{"code":"%b","message":%b}' % (error.code.encode("ascii"), orjson.dumps(error.message))
