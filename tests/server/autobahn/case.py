"""What a case of the Autobahn test suite sends, and what it takes for an answer."""

from __future__ import annotations

from dataclasses import dataclass

from tests.server.client import BINARY, PONG, TEXT, Received

PROTOCOL_ERROR = 1002
INVALID_TEXT = 1007


@dataclass(frozen=True, kw_only=True)
class Case:
    """One case.

    Attributes:
        number: Its number in the original.
        sends: The bytes that it sends.
        chop: How many bytes go into one write.
        expects: The data and pong frames of the answer. If the case fails the connection, any
            first part of them will do: the error may be found before the application answers.
        fails: The close codes of which one must come; none if the connection stays usable.
    """

    number: str
    sends: bytes
    chop: int | None = None
    expects: tuple[Received, ...] = ()
    fails: tuple[int, ...] = ()


def text(payload: bytes | str) -> Received:
    """Return an echoed text."""
    return Received(TEXT, payload.encode() if isinstance(payload, str) else payload)


def binary(payload: bytes) -> Received:
    """Return an echoed binary message."""
    return Received(BINARY, payload)


def pong(payload: bytes = b"") -> Received:
    """Return the answer to a ping."""
    return Received(PONG, payload)
