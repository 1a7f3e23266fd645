"""Lines that only who has the key can have written, in the order in which they were written.

Both sides say a random number first. The key of each direction is made of the shared key, the two
numbers and the direction, so no line counts in another conversation or in the other direction. A
line's signature covers its number as well: none can be left out, repeated or moved. Nothing is
encrypted: a plan has tokens of rooms that are made for the test alone.
"""

from __future__ import annotations

import hmac
import secrets
from typing import Final

SHORTEST_KEY: Final = 16  # characters
GREETING: Final = b"shardlayer-loadtest-1 "
TO_AGENT: Final = b"to the agent"
TO_COMMAND: Final = b"to the command"
_DIGEST: Final = "sha256"
_SIGNATURE: Final = 64  # hexadecimal digits


class BadSignature(ValueError):
    """A line was not written by who has the key, or not as the next one."""


def new_nonce() -> bytes:
    """Return a random text that is used once."""
    return secrets.token_hex(32).encode()


class SignedLines:
    """One direction of a conversation; each side has one object for each direction.

    Args:
        key: The shared key.
        direction: TO_AGENT or TO_COMMAND.
        nonces: What the agent said first, and what the command did.
    """

    def __init__(self, key: str, direction: bytes, nonces: tuple[bytes, bytes]) -> None:
        said = b"\0".join([direction, *nonces])
        self._key = hmac.digest(key.encode(), said, _DIGEST)
        self._number = 0

    def seal(self, line: bytes) -> bytes:
        """Return a line with its signature in front, and its end behind."""
        return self._sign(line) + b" " + line + b"\n"

    def open(self, sealed: bytes) -> bytes:
        """Return the line without signature.

        Raises:
            BadSignature: It is none of this conversation, or not the next one.
        """
        signature, line = sealed[:_SIGNATURE], sealed[_SIGNATURE + 1 :].removesuffix(b"\n")
        if not hmac.compare_digest(signature, self._sign(line)):
            raise BadSignature("A line's signature does not count: the keys differ.")
        return line

    def _sign(self, line: bytes) -> bytes:
        signed = self._number.to_bytes(8) + line
        self._number += 1
        return hmac.digest(self._key, signed, _DIGEST).hex().encode()
