"""What makes a record a bad one, which goes to the dead letters: values in, values out."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

import orjson

from realtime.kafka.routing.header_rules import Record
from realtime.rooms.room_names import OWN_ROOM_RULE, is_open_room, is_room_name, may_be_rooms

_SHOWN = 120  # characters of what a route returned or raised


class BadRecord(Exception):
    """A record that can't be published, and why."""


class RouteFailed(BadRecord):
    """A record whose route raised something, which is the cause."""


def judged(answer: object, *, most: int) -> Sequence[str]:
    """Return the rooms that a route named, each once, sorted.

    The place of a room in this order is a part of the mark by which Redis knows what it has. So
    it is the same in every process: a set, say, has another order in each.

    Args:
        answer: What the route returned: any iterable of texts, read no further than `most` + 1.

    Raises:
        BadRecord: It is something else, names no room or one that can't be, or too many.
        Exception: What reading it raised.
    """
    if type(answer) is list and len(answer) == 1 and is_open_room(answer[0]):
        return answer  # what most routes return
    if not may_be_rooms(answer):
        raise BadRecord(f"the route returned {shown(answer)}, not a list of rooms")
    rooms: list[Any] = list(islice(answer, most + 1))
    if not rooms:
        raise BadRecord("no room: neither a header 'room' nor a key")
    if len(rooms) > most:
        raise BadRecord(f"the route names more than {most:,} rooms")
    for room in rooms:
        if not is_room_name(room):
            raise BadRecord(f"{shown(room)} can't name a room")
        if not is_open_room(room):
            raise BadRecord(f"{shown(room)} can't be published to. {OWN_ROOM_RULE}")
    return rooms if len(rooms) == 1 else sorted(set(rooms))


def payload_of(record: Record, *, limit: int) -> bytes:
    """Return a record's payload, as the bytes that came.

    It is read once, to know that it is JSON: what is not would break the frames of everybody in
    the room.

    Raises:
        BadRecord: It is no JSON, or more than `limit` bytes, or there is none.
    """
    data = record.value
    if data is None:
        raise BadRecord("no payload")
    if not isinstance(data, bytes):
        raise BadRecord(f"the payload is {shown(data)}, not bytes")
    if len(data) > limit:
        raise BadRecord(f"{len(data):,} bytes are over the limit of {limit:,}")
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise BadRecord(f"not JSON: {error}") from error
    return data


def failed(error: BaseException) -> BadRecord:
    """Return what becomes of a record whose route raised something."""
    if isinstance(error, BadRecord):
        return error
    bad = RouteFailed(f"the route failed: {shown(error)}")
    bad.__cause__ = error
    return bad


def shown(value: object) -> str:
    """Return how a value looks, in few words; some can't be shown at all."""
    if isinstance(value, str | bytes):
        return repr(value[:_SHOWN])
    try:
        text = repr(value)
    except Exception:
        text = f"a {type(value).__name__}"
    return text[:_SHOWN]
