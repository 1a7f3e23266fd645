"""How a message reads in a stream of events (HTML standard, 9.2), and how an event names a place.

An event has the JSON text of the message that a WebSocket would carry. Where it moves the client on
in a room its `id` says where the client is in all rooms of the stream, in the order of the URL:
`41.k3xw91ab,-,7.zz81pq02`, with `-` for a room without a position. A browser that comes back sends
the last one as `Last-Event-ID`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson

from realtime.clients.protocol.parsing import is_position
from shardlayer import Broadcast, Position

COMMENT: Final = b":\n\n"
NOWHERE: Final = "-"
MAX_POSITION: Final = 16 + 1 + 64  # characters

_SUBSCRIBED: Final = b'{"id":0,"subscribed":['
_OF_ROOM: Final = b'{"room":"'
_RESET: Final = b'","reset":{'
_line_end = re.compile(rb"\r\n|\n|\r")
_position = re.compile(r"([0-9]{1,16})\.([0-9A-Za-z_-]{0,64})").fullmatch


class StreamEvent(NamedTuple):
    """A message as an event, the same for all streams.

    Attributes:
        lines: Its `data` lines and the blank one that ends it.
        room: Whose place it changes; empty if none.
        offset: Where the client is in the room then.
        epoch: Of the offset, if the message says so; empty if it is the room's as before.
    """

    lines: bytes
    room: str = ""
    offset: int = 0
    epoch: str = ""


def events_of(broadcast: Broadcast) -> Sequence[StreamEvent]:
    """Return what a broadcast is in a stream; made once, for all streams that it goes to."""
    made: Sequence[StreamEvent] | None = getattr(broadcast, "event_stream", None)
    if made is None:
        offsets = broadcast.offsets or (0,) * len(broadcast.texts)
        made = tuple(map(_event, broadcast.texts, offsets))
        broadcast.event_stream = made
    return made


def data_lines(text: bytes) -> bytes:
    """Return an event without an id: JSON may have line ends between its values."""
    if b"\n" in text or b"\r" in text:
        text = b"\ndata: ".join(_line_end.split(text))
    return b"data: %b\n\n" % text


def subscribed_rooms(text: bytes) -> Sequence[Mapping[str, Any]]:
    """Return what the answer to the URL's rooms says of each; nothing if it is none."""
    if not text.startswith(_SUBSCRIBED):
        return ()
    rooms: Sequence[Mapping[str, Any]] = orjson.loads(text)["subscribed"]
    return rooms


def format_positions(positions: Iterable[Position | None]) -> str:
    """Return the id that says where a client is in each of its rooms."""
    return ",".join(map(format_position, positions))


def format_position(at: Position | None) -> str:
    """Return what an id says of one room."""
    return NOWHERE if at is None else f"{at.offset}.{at.epoch}"


def parse_positions(text: str, rooms: int) -> list[Position | None]:
    """Return what an id says of so many rooms; None for all of them if it is no such id.

    It was the server's, but whoever sends it back may have written it. Offset 0 without an epoch is
    before everything; any other offset is one of an epoch, or of nothing.
    """
    nothing: list[Position | None] = [None] * rooms
    parts = text.split(",", rooms) if len(text) <= rooms * (MAX_POSITION + 1) else []
    if len(parts) != rooms:
        return nothing
    found: list[Position | None] = []
    for part in parts:
        match = _position(part)
        at = None if match is None else Position(int(match[1]), match[2])
        if part != NOWHERE and (at is None or not is_position(at)):
            return nothing
        found.append(at)
    return found


def close_event(code: int, reason: str, retry: int) -> bytes:
    """Return the last event of a stream: what a WebSocket's close would say.

    `retry` is after how many milliseconds a browser comes back by itself.
    """
    body = orjson.dumps({"code": code, "reason": reason})
    return b"event: close\nretry: %d\ndata: %b\n\n" % (retry, body)


def _event(text: bytes, offset: int) -> StreamEvent:
    lines = data_lines(text)
    if not text.startswith(_OF_ROOM):
        return StreamEvent(lines)
    ends = text.index(b'"', len(_OF_ROOM))
    room = text[len(_OF_ROOM) : ends].decode("ascii")
    if offset:
        return StreamEvent(lines, room, offset)
    if text.startswith(_RESET, ends):
        reset = orjson.loads(text)["reset"]
        return StreamEvent(lines, room, reset["offset"], reset["epoch"])
    return StreamEvent(lines)
