"""What all connections of one user, or of one address, may do together in this process.

A limit that each connection has for itself begins anew with each connection; these do not. They
know nobody for longer than it matters: a user while one of their connections is open, a publisher
until their bucket is full again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from realtime.access.anonymous import User
from realtime.access.users import user_room
from realtime.clients.client_counters import counters
from realtime.clients.request_rates import bucket
from realtime.conf import Conf
from shardlayer import BucketTable, Tally, address_key

Publisher = str | bytes
"""The own room of a user; of a client that nobody is signed in on, what its address counts as."""


@dataclass(frozen=True, slots=True)
class UserLimits:
    """The limits of one process.

    Attributes:
        connections: Of each user, by the user's own room.
        publications: A token a publication.
    """

    connections: Tally[str]
    publications: BucketTable[Publisher]


def user_limits(conf: Conf) -> UserLimits:
    """Return the limits that settings ask for; the same ones for the same settings."""
    global _latest
    if _latest is None or _latest[0] is not conf:
        limits = UserLimits(
            connections=Tally(conf.max_user_connections),
            publications=BucketTable(bucket(conf.max_user_publishes)),
        )
        _latest = (conf, limits)
    return _latest[1]


_latest: tuple[Conf, UserLimits] | None = None


class UserShare:
    """What one connection has of its user's limits.

    Args:
        limits: Those of the process.
        client: Its address, as the scope has it: host and port, or None.
    """

    __slots__ = ("_client", "_counted_as", "_limits")

    def __init__(self, limits: UserLimits, client: Sequence[Any] | None) -> None:
        self._limits = limits
        self._client = client
        self._counted_as: str | None = None  # the own room of the user whose connection it is

    def enter(self, user: User) -> bool:
        """Count as a connection of a user; say whether they may have it. Again is no error."""
        room = _room_of(user)
        if room == self._counted_as:
            return True
        self.leave()
        if room is None:
            return True
        if not self._limits.connections.enter(room):
            counters.users_closed += 1
            return False
        self._counted_as = room
        return True

    def leave(self) -> None:
        """Count for nobody. Again is no error."""
        if self._counted_as is not None:
            self._limits.connections.leave(self._counted_as)
            self._counted_as = None

    def take_publication(self, user: User) -> bool:
        """Take a token for a publication of a user, or of the address; say whether it was there."""
        publisher: Publisher | None
        publisher = _room_of(user)
        if publisher is None and self._client:
            publisher = address_key(self._client[0])
        if publisher is None or self._limits.publications.take(publisher):
            return True
        counters.publishes_refused += 1
        counters.users_publishes_refused += 1
        return False


def _room_of(user: User) -> str | None:
    """Return what names a user; None of an anonymous one, and of a middleware's without a key."""
    try:
        return user_room(user) if user.is_authenticated else None
    except ValueError:
        return None
