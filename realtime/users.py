"""The private room of each user: what the server has to say to one person, on all their devices.

A room like any other, with history and offsets, but for two rules that no setting and no
`AUTHORIZE` loosens: only its user subscribes to it, and only the server publishes to it. Every name
that begins with `USER_ROOM_PREFIX` is such a room.
"""

from __future__ import annotations

import re
from hashlib import sha256

from realtime.auth import User
from realtime.conf import conf

_is_plain = re.compile(r"[a-zA-Z0-9_-]{1,64}").fullmatch  # without periods, see `user_room`


def user_room(user: User) -> str:
    """Return the name of a user's private room: the prefix and the primary key, `user.7`.

    A key that no room could be named by, such as an e-mail address, stands as its SHA-256 behind
    a word with a period, which no other key's name has: two users never share a room.

    Raises:
        ValueError: The user is anonymous or not saved, and so has no room.
    """
    if not user.is_authenticated or user.pk is None:
        raise ValueError("Only a user with a primary key has a room.")
    key = user._meta.pk.value_to_string(user)
    if not _is_plain(key):
        key = f"sha256.{sha256(key.encode()).hexdigest()}"
    return f"{conf().user_room_prefix}{key}"


def is_user_room(room: str) -> bool:
    """Return whether a room is private, of whomever."""
    return room.startswith(conf().user_room_prefix)
