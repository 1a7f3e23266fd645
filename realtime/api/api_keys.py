"""The keys of services: made, shown once, found by what a request brings.

A key is 256 bits of chance, so its SHA-256 is all that has to be kept, and it can be looked up by
it. A password's slow hash would protect nothing here: nobody guesses such a key.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import timedelta
from fnmatch import fnmatchcase
from hashlib import sha256
from typing import Final

from django.utils import timezone

from realtime.access.users import is_user_room
from realtime.api.api_errors import ApiError
from realtime.conf import conf
from realtime.models import ApiKey
from realtime.rooms.room_names import OWN_ROOMS
from shardlayer import Bucket

PREFIX: Final = "slk_"  # begins each key, so that scanners for secrets know it
KEY_BYTES: Final = 32  # of chance
SHOWN: Final = 8  # characters of a key that may be shown: its prefix, and four more
USE_NOTED: Final = 60.0  # seconds between two notes of a key's last use
BURST: Final = 2.0  # seconds of its rate that a key may use at once

_full_at: dict[int, tuple[float, float]] = {}  # by key: its rate, and when its bucket is full


def make_key(
    name: str, rooms: Sequence[str], *, announces: bool = False, rate: float = 100.0
) -> tuple[ApiKey, str]:
    """Return a new key as the table has it, not yet saved, and its text, which is kept nowhere.

    Raises:
        ValidationError: When it is saved, or on `full_clean`.
    """
    text = PREFIX + secrets.token_urlsafe(KEY_BYTES)
    made = ApiKey(
        name=name,
        rooms="\n".join(rooms),
        announces=announces,
        rate=rate,
        digest=digest_of(text),
        hint=text[:SHOWN],
    )
    return made, text


def digest_of(text: str) -> str:
    """Return what is kept of a key."""
    return sha256(text.encode()).hexdigest()


async def key_of_header(authorization: str | None) -> ApiKey:
    """Return the key that a request's `Authorization` header has.

    Raises:
        ApiError: `bad_key`, if there is none that counts.
    """
    scheme, _, text = (authorization or "").partition(" ")
    found = None
    if scheme.lower() == "bearer" and text.startswith(PREFIX) and text.isascii():
        digest = digest_of(text.strip())
        found = await ApiKey.objects.filter(digest=digest, revoked_at=None).afirst()
    if found is None:
        raise ApiError(
            "bad_key",
            "Send a key that counts: 'Authorization: Bearer slk_…'.",
            headers={"WWW-Authenticate": "Bearer"},
        )
    now = timezone.now()
    if found.used_at is None or now - found.used_at > timedelta(seconds=USE_NOTED):
        await ApiKey.objects.filter(pk=found.pk).aupdate(used_at=now)
    return found


def require_room(key: ApiKey, room: str) -> None:
    """Raise ApiError unless a key opens a room.

    A user's own room is opened only by a pattern that begins with USER_ROOM_PREFIX: `*` does
    not reach into them. The workers' own rooms are opened by none.
    """
    prefix = conf().user_room_prefix
    for pattern in key.patterns:
        if is_user_room(room) and not pattern.startswith(prefix):
            continue
        if room not in OWN_ROOMS and fnmatchcase(room, pattern):
            return
    raise ApiError("forbidden", f"This key does not open the room {room}.")


def require_announcing(key: ApiKey) -> None:
    """Raise ApiError unless a key may announce."""
    if not key.announces:
        raise ApiError("forbidden", "This key may not announce.")


def take_rate(key: ApiKey, count: int) -> None:
    """Take so many publications from what a key may publish a second, in this process.

    Raises:
        ApiError: `rate`, if it may not now. A batch of more than it may ever have at once is
            `too_large`.
    """
    if not key.rate:
        return
    burst = max(1.0, key.rate * BURST)
    if count > burst:
        raise ApiError("too_large", f"This key publishes at most {burst:g} items at once.")
    rate, full_at = _full_at.get(key.pk, (key.rate, 0.0))
    after = Bucket(key.rate, burst).take(full_at if rate == key.rate else 0.0, count)
    if after is None:
        raise ApiError(
            "rate",
            f"This key publishes at most {key.rate:g} times a second.",
            headers={"Retry-After": str(max(1, round(count / key.rate)))},
        )
    _full_at[key.pk] = key.rate, after
