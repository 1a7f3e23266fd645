"""How the people in a room are named: users by their primary keys, all others by their connections.

A name that begins with one `~` is of a connection that nobody is signed in on. A primary key that
begins so is written with two.
"""

from __future__ import annotations

from itertools import count
from typing import Final

from realtime.access.anonymous import User
from realtime.access.identity import key_of

ANONYMOUS_MARK: Final = "~"

_numbers = count(1)


def new_connection() -> str:
    """Return a name for a connection, of its own in this process."""
    return f"{next(_numbers):x}"


def person_of(user: User, node: str, connection: str) -> str:
    """Return the name of whoever is on a connection of a node."""
    key = key_of(user)
    if key is None:
        return f"{ANONYMOUS_MARK}{node}.{connection}"
    return ANONYMOUS_MARK + key if key.startswith(ANONYMOUS_MARK) else key


def user_key_of(person: str) -> str | None:
    """Return the primary key, as text, of the user that a person is; None of anybody else."""
    if not person.startswith(ANONYMOUS_MARK):
        return person
    key = person.removeprefix(ANONYMOUS_MARK)
    return key if key.startswith(ANONYMOUS_MARK) else None
