"""What a client may ask for, and the error that it gets instead: values without behaviour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from shardlayer import Position

ErrorCode = Literal[
    "bad_json",
    "bad_request",
    "unknown_command",
    "bad_room",
    "too_large",
    "forbidden",
    "not_subscribed",
    "unavailable",
    "bad_token",
    "limit",
    "full",
    "rate",
    "refused",
    "internal",
]

CLOSE_BINARY: Final = 1003  # a binary frame: don't come back
CLOSE_FAILED: Final = 1011  # the server failed: come back
CLOSE_EXPIRED: Final = 4001  # what signed the client in has expired: come back with a new one
CLOSE_SIGNED_OUT: Final = 4002  # the user was signed out: come back, and sign in again
CLOSE_ABUSE: Final = 4009  # did what the protocol forbids: don't come back
CLOSE_RATE: Final = 4010  # sent too many commands: come back later
CLOSE_UNUSED: Final = 4011  # subscribed to nothing in time: come back later
CLOSE_USER: Final = 4012  # one connection of its user too many: come back later
LATER_CODES: Final = frozenset({CLOSE_RATE, CLOSE_UNUSED, CLOSE_USER})


class ProtocolError(Exception):
    """A command that can't be done, as the client is told.

    Attributes:
        code: For programs.
        message: For people.
        id: The command's id; None when it could not be read.
    """

    def __init__(self, code: ErrorCode, message: str, id: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.id = id


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A room to subscribe to, the position that the client has of it, and a token that opens it."""

    room: str
    since: Position | None = None
    token: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A room of a list that can't be subscribed to; the list's other rooms can."""

    room: str
    error: ProtocolError


@dataclass(frozen=True, slots=True, kw_only=True)
class Connect:
    """Sign in with a note or a token, or with neither ask who and where one is.

    Attributes:
        id: The command's id.
        token: Counts if there is no note, or it does not.
        note: What a worker gave the client before, see `Note`.
    """

    id: int
    token: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Ask for a note, with which to come back."""

    id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscribe:
    """Subscribe to rooms.

    Attributes:
        id: The command's id; 0 for the rooms of the URL.
        rooms: In the client's order.
        many: Whether the client sent a list, and so gets one.
    """

    id: int
    rooms: tuple[Wanted | Refused, ...]
    many: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsubscribe:
    """Leave a room."""

    id: int
    room: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Publish:
    """Publish to a room.

    Attributes:
        id: The command's id.
        room: Where to.
        data: JSON text, normalised.
        key: The client's name for this publication, by which it is recognised when it comes again;
            empty if it has none.
    """

    id: int
    room: str
    data: bytes
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Read a room's newest publications, at most `limit`; without it as many as are allowed.

    Attributes:
        id: The command's id.
        room: Whose history.
        limit: How many, at most.
        before: Return those before this offset; 0: the newest of all.
        token: Opens the room, if the client has one.
    """

    id: int
    room: str
    limit: int | None = None
    before: int = 0
    token: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AskPresence:
    """Ask how many people are in a room, and who.

    Attributes:
        id: The command's id.
        room: The room.
        limit: How many people to name, at most; None: as many as are allowed.
        after: The person behind whom they stand; empty: from the first on.
    """

    id: int
    room: str
    limit: int | None = None
    after: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ping:
    """Ask for a pong."""

    id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnCommand:
    """A command that the project's consumer has: its name, and what the client sent with it."""

    id: int
    name: str
    value: Any


Command = (
    OwnCommand | Connect | Note | Subscribe | Unsubscribe | Publish | History | AskPresence | Ping
)
