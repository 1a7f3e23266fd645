"""What signed a client in, as a value: who it is, what it may, and until when.

A credential comes of a session, of a token, or of a note that a client brings back. Nothing here
asks a database.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal

from realtime.rooms.room_names import RoomGlobs

SignInMethod = Literal["nobody", "middleware", "session", "token", "jwt"]
"""How a client signed in: not at all; by what stands in the scope; by Django's session; by a token
of `realtime.tokens`; by a JWT."""


class BadToken(Exception):
    """The token is not one of ours, is too old, or is of a user who may not sign in."""


_NO_CLAIMS: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """Who a client is, and how that is known.

    Attributes:
        method: How the client signed in.
        user_id: The user's primary key as text, as its field writes it; None of nobody.
        name: The user's name, as far as the credential says it; empty if it does not.
        claims: What a token says of its bearer; empty of a session.
        rooms: Globs of the rooms that a token opens to its bearer, whatever the rules say.
        issued: When it was issued, in Unix seconds; 0 where that is unknown.
        expires: When it ends, in Unix seconds; None if it does not.
        session: A digest of the session's key, where a session signed in.
        password: A digest that changes with the user's password, of tokens of our own.
    """

    method: SignInMethod = "nobody"
    user_id: str | None = None
    name: str = ""
    claims: Mapping[str, Any] = field(default_factory=lambda: _NO_CLAIMS)
    rooms: tuple[str, ...] = ()
    issued: float = 0.0
    expires: float | None = None
    session: str | None = None
    password: str = ""

    @property
    def is_of_session(self) -> bool:
        """Whether a session said so, or a room's token that names one: it may end unheard of."""
        return self.method == "session" or (self.method == "token" and self.session is not None)

    def opens(self, room: str) -> bool:
        """Return whether the credential itself lets its bearer subscribe to a room."""
        return bool(self.rooms) and room in RoomGlobs(self.rooms)


NOBODY: Final = Credential()
