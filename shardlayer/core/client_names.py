"""What a publication says of the one client that does not get it: usually the one that caused it.

A room's members are many, and the publisher knows none of them. So a client that wants to be left
out has a name, which nobody can guess and which nobody else is told. In the packed batch the name
stands behind the room's, `general!Zk3xw91abQ0p-_7c`: no room's name has a `!`. So an entry is of
the kind that it always was, also to those who read histories by its kind.
"""

from __future__ import annotations

import re
import secrets
from typing import NewType

ClientName = NewType("ClientName", str)
"""Names one connection of a client, on whichever node: 16 letters, digits, `-` and `_`."""

NAME_BYTES = 12  # bytes of chance in a name

_SEPARATOR = "!"
_is_name = re.compile(r"[A-Za-z0-9_-]{16}").fullmatch


def new_client_name() -> ClientName:
    """Return a name that nobody has."""
    return ClientName(secrets.token_urlsafe(NAME_BYTES))


def is_client_name(value: object) -> bool:
    """Tell whether something has the form of a client's name."""
    return isinstance(value, str) and _is_name(value) is not None


def without(room: str, client: str) -> str:
    """Return how an entry is named that goes to a room's members but for a client."""
    return f"{room}{_SEPARATOR}{client}"


def parted(name: str) -> tuple[str, str]:
    """Return the room of an entry's name, and the client that does not get it: empty for none."""
    room, _, client = name.partition(_SEPARATOR)
    return room, client
