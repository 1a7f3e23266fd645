"""What all connections of one user, or of one address, may do together in this process.

A limit that each connection has for itself begins anew with each connection; these do not. They
know nobody for longer than it matters: a user while one of their connections is open, or a room
that they brought here has clients, a publisher until their bucket is full again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from realtime.access.anonymous import User
from realtime.access.users import user_room
from realtime.clients.client_counters import counters
from realtime.clients.request_rates import bucket
from realtime.clients.room_holders import RoomHolders
from realtime.conf import Conf
from shardlayer import BucketTable, Tally, address_key

Publisher = str | bytes
"""The own room of a user; of a client that nobody is signed in on, what its address counts as."""


CONNECTIONS_AT_ONCE = 10  # of one user that come back, each with as many rooms as it may have


@dataclass(frozen=True, slots=True)
class UserLimits:
    """The limits of one process.

    Attributes:
        connections: Of each user, by the user's own room.
        publications: A token a publication.
        new_rooms: A token for each room that no client here was in and that somebody joins, or
            that the first publication goes to.
        rooms: The rooms that have clients, and for whom each is here.
        streams: Streams of events of each address. The server can't tell them: behind a proxy the
            connections of HTTP are the proxy's own.
    """

    connections: Tally[str]
    publications: BucketTable[Publisher]
    new_rooms: BucketTable[Publisher]
    rooms: RoomHolders[Publisher]
    streams: Tally[Publisher]

    def take_new_room(self, publisher: Publisher | None) -> bool:
        """Take a token for a new room; say whether it was there. None: it counts for nobody."""
        if publisher is None or self.new_rooms.take(publisher):
            return True
        counters.rooms_refused += 1
        counters.users_rooms_refused += 1
        return False

    def give_back_new_room(self, publisher: Publisher | None) -> None:
        """Put a token for a new room back: none came to be."""
        if publisher is not None:
            self.new_rooms.take(publisher, -1.0)


def user_limits(conf: Conf) -> UserLimits:
    """Return the limits that settings ask for; the same ones for the same settings."""
    global _latest
    if _latest is None or _latest[0] is not conf:
        at_once = float(CONNECTIONS_AT_ONCE * conf.max_rooms_per_client)
        limits = UserLimits(
            connections=Tally(conf.max_user_connections),
            publications=BucketTable(bucket(conf.max_user_publishes)),
            new_rooms=BucketTable(bucket(conf.max_user_new_rooms, at_once)),
            rooms=RoomHolders(conf.max_user_rooms),
            streams=Tally(conf.max_address_streams),
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
        publisher = publisher_of(user, self._client)
        if publisher is None or self._limits.publications.take(publisher):
            return True
        counters.publishes_refused += 1
        counters.users_publishes_refused += 1
        return False


def publisher_of(user: User | None, client: Sequence[Any] | None) -> Publisher | None:
    """Return whom a client counts as: its user, else its address; None if that is nobody.

    Args:
        user: None if it is not known who is on the connection.
        client: Its address, as the scope has it: host and port, or None.
    """
    room = None if user is None else _room_of(user)
    if room is not None or not client:
        return room
    return address_key(client[0])


def _room_of(user: User) -> str | None:
    """Return what names a user; None of an anonymous one, and of a middleware's without a key."""
    try:
        return user_room(user) if user.is_authenticated else None
    except ValueError:
        return None
