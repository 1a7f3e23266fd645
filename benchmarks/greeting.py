"""How a client of a peer introduces itself, as data that travels to the process of the clients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A text that the server sends after the handshake, and what the client says to it.

    Attributes:
        expect: How the server's text begins.
        reply: The client's text, or None.
        contains: What else has to be in the server's text.
    """

    expect: str
    reply: str | None = None
    contains: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeting:
    """What makes a connection a subscribed one.

    Attributes:
        path: The path of the handshake's request, with its query; `{room}` in it is the number of
            the client's room.
        steps: What follows the handshake, in order; after the last one the client is subscribed.
        answers: Texts that the server may send at any time and what must be said to them, such
            as the pings of Engine.IO.
        cookies: Cookie headers of the handshakes, taken in turn; none: they have none.
        addresses: Where the clients come from, as a proxy would forward it, taken in turn.
        offers: Whether a client offers to take compressed messages, taken in turn.
        openings: What a client says first, right after the handshake, taken in turn.
        rooms: How many rooms the clients are in, one after the other.
    """

    path: str
    steps: tuple[Step, ...] = ()
    answers: Mapping[str, str] = field(default_factory=dict)
    cookies: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    openings: tuple[str, ...] = ()
    offers: tuple[bool, ...] = ()
    rooms: int = 1

    def path_of(self, number: int) -> str:
        """Return the path that a client asks for, by its number."""
        return self.path.replace("{room}", str(number % self.rooms))

    def as_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Greeting:
        """Return the greeting that `as_json` wrote."""
        return cls(
            path=value["path"],
            steps=tuple(Step(**step) for step in value["steps"]),
            answers=value["answers"],
            cookies=tuple(value["cookies"]),
            addresses=tuple(value["addresses"]),
            openings=tuple(value["openings"]),
            offers=tuple(value["offers"]),
            rooms=value["rooms"],
        )
