"""The own room of each user: what the server has to say to one person, on all their devices.

A room like any other, with history and offsets, but for two rules that nothing in `ROOMS`
loosens: only its user subscribes to it, and only the server publishes to it. Every name
that begins with `USER_ROOM_PREFIX` is such a room.
"""

from __future__ import annotations

import re
from hashlib import sha256

from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import ValidationError

from realtime.access.anonymous import User
from realtime.access.identity import key_of
from realtime.conf import conf

_is_plain = re.compile(r"[a-zA-Z0-9_-]{1,64}").fullmatch  # without periods, see `user_room`


def user_room(user: User | object) -> str:
    """Return the name of a user's own room: the prefix and the primary key, `user.7`.

    Takes a user, or the primary key of one, in any form that the key's field takes.

    A key that no room could be named by, such as an e-mail address, stands as its SHA-256 behind
    a word with a period, which no other key's name has: two users never share a room.

    Raises:
        ValueError: The user is anonymous or not saved, and so has no room; or it is no key.
    """
    key = user_key(user)
    if not _is_plain(key):
        key = f"sha256.{sha256(key.encode()).hexdigest()}"
    return f"{conf().user_room_prefix}{key}"


def user_key(user: User | object) -> str:
    """Return a user's primary key as text. Takes and raises what `user_room` does."""
    from django.contrib.auth.models import AnonymousUser  # whose app may not be installed

    if not isinstance(user, AbstractBaseUser | AnonymousUser):
        user = _with_key(user)
    key = key_of(user)
    if key is None:
        raise ValueError("Only a user with a primary key has an own room, or can be signed out.")
    return key


def _with_key(key: object) -> AbstractBaseUser:
    """Return a user, not loaded, with a primary key as its field has it: 7 of "7"."""
    model = get_user_model()
    try:
        found = model._meta.pk.to_python(key)
    except ValidationError as error:
        raise ValueError(f"{key!r} is neither a user nor the primary key of one.") from error
    return model(pk=found)


def is_user_room(room: str) -> bool:
    """Return whether a room is private, of whomever."""
    return room.startswith(conf().user_room_prefix)
