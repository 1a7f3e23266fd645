"""What stands for a room in the addresses of the admin; pure.

Django's `quote` leaves periods alone. But a part of an address that is "." or ".." is a folder to
browsers and proxies, which take it away: such a room's link would open another page.
"""

from __future__ import annotations

from django.contrib.admin.utils import quote, unquote

_PERIOD = "_2E"  # nothing else is written so: `quote` makes every "_" of a name "_5F"


def room_key(name: str) -> str:
    """Return what stands for a room."""
    return quote(name) if name.strip(".") else name.replace(".", _PERIOD)


def room_of(key: str) -> str:
    """Return the room that `room_key` made a key of."""
    return unquote(key.replace(_PERIOD, "."))
