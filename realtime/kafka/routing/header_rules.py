"""What a Kafka record's headers and its key say about where it goes: values in, values out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Protocol

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


Route = Callable[[Record], Iterable[str] | Awaitable[Iterable[str]]]
"""Names a record's rooms, the value of the setting KAFKA_ROUTE. None of them: a bad record."""


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


def is_announcement(record: Record) -> bool:
    """Tell whether a record is of a kind that is for everybody, whatever its rooms."""
    for name, kind in record.headers:  # noqa: SIM110 - a generator is slower, for each record
        if name == KIND_HEADER and kind in ANNOUNCEMENTS:
            return True
    return False
