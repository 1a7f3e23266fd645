"""Where a Kafka record goes: values in, values out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import orjson

from realtime.rooms import is_room_name

ROOM_HEADER = "room"
KIND_HEADER = "kind"
ANNOUNCEMENTS = frozenset({b"system-announcement", b"maintenance-notify"})  # kinds for everybody
EVERYBODY = "global"  # the room that stands for all clients, whatever rooms they are in


class Record(Protocol):
    """What routing sees of an aiokafka record."""

    @property
    def key(self) -> bytes | None:
        """The record's key."""

    @property
    def value(self) -> bytes | None:
        """The record's payload."""

    @property
    def headers(self) -> Sequence[tuple[str, bytes]]:
        """The record's headers in order; a name may come twice."""


Route = Callable[[Record], Sequence[str]]
"""Names a record's rooms, the value of the setting KAFKA_ROUTE. None of them: a bad record."""


class BadRecord(Exception):
    """A record that can't be published, and why."""


def route(record: Record) -> Sequence[str]:
    """Return the record's rooms: its headers `room`, else its key."""
    if record.headers:
        rooms = [
            value.decode("utf-8", "replace")
            for name, value in record.headers
            if name == ROOM_HEADER
        ]
        if rooms:
            return rooms
    return [record.key.decode("utf-8", "replace")] if record.key else []


def publications(record: Record, route: Route, *, limit: int) -> tuple[Sequence[str], bytes]:
    """Return the rooms that a record is published to and its payload, as the bytes that came.

    A record of a kind that is for everybody has the one room EVERYBODY. The payload is read once,
    to know that it is JSON: what is not would break the frames of everybody in the room.

    Raises:
        BadRecord: The route fails or names no room or one that can't be; the payload is no JSON,
            or more than `limit` bytes.
    """
    is_announcement = record.headers and _is_announcement(record)
    rooms = [EVERYBODY] if is_announcement else _rooms(record, route)
    data = record.value
    if data is None:
        raise BadRecord("no payload")
    if len(data) > limit:
        raise BadRecord(f"{len(data):,} bytes are over the limit of {limit:,}")
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise BadRecord(f"not JSON: {error}") from error
    return rooms, data


def _is_announcement(record: Record) -> bool:
    return any(name == KIND_HEADER and kind in ANNOUNCEMENTS for name, kind in record.headers)


def _rooms(record: Record, route: Route) -> Sequence[str]:
    try:
        rooms = route(record)
    except Exception as error:  # of a project's own function; one record must not stop the rest
        raise BadRecord(f"the route failed: {error!r}") from error
    if not rooms:
        raise BadRecord("no room: neither a header 'room' nor a key")
    for room in rooms:
        if not is_room_name(room):
            raise BadRecord(f"{room[:120]!r} can't name a room")
    return rooms
