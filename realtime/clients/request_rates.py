"""How much one client may ask for in a second, by token buckets.

What a client asks for takes tokens. So it may do much at once, and in the long run no more than
the rate.
"""

from __future__ import annotations

from dataclasses import dataclass

from realtime.conf import Conf
from shardlayer import Bucket

BURST_SECONDS = 10  # of its rate a bucket holds, at least
MIN_BURST = 1.0  # tokens


@dataclass(frozen=True, slots=True)
class Buckets:
    """The buckets that a client has.

    Attributes:
        commands: A token a command, and one for each room of a list.
        publications: A token a publication.
        new_rooms: A token for each room that is joined, or that the first publication goes to.
    """

    commands: Bucket
    publications: Bucket
    new_rooms: Bucket


def bucket(rate: float, least: float = MIN_BURST) -> Bucket:
    """Return the bucket of a rate, which holds ten seconds' worth, or `least` if that is more."""
    return Bucket(rate, max(MIN_BURST, rate * BURST_SECONDS, least))


def buckets_of(conf: Conf) -> Buckets:
    """Return the buckets that settings ask for; the same ones for the same settings."""
    global _latest
    if _latest is None or _latest[0] is not conf:
        # A client that comes back asks for all of its rooms at once.
        rooms = 2.0 * conf.max_rooms_per_client
        _latest = (
            conf,
            Buckets(
                commands=bucket(conf.max_client_commands, rooms),
                publications=bucket(conf.max_client_publishes),
                new_rooms=bucket(conf.max_client_new_rooms, rooms),
            ),
        )
    return _latest[1]


_latest: tuple[Conf, Buckets] | None = None


class ClientLimits:
    """What one connection has taken of its buckets."""

    __slots__ = ("_buckets", "_commands", "_new_rooms", "_publications")

    def __init__(self, buckets: Buckets) -> None:
        self._buckets = buckets
        self._commands = self._publications = self._new_rooms = 0.0

    def take_commands(self, count: float = 1.0) -> bool:
        """Take tokens for commands; say whether they were there."""
        taken = self._buckets.commands.take(self._commands, count)
        if taken is None:
            return False
        self._commands = taken
        return True

    def take_publication(self) -> bool:
        """Take a token for a publication; say whether it was there."""
        taken = self._buckets.publications.take(self._publications)
        if taken is None:
            return False
        self._publications = taken
        return True

    def take_new_room(self) -> bool:
        """Take a token for a new room; say whether it was there."""
        taken = self._buckets.new_rooms.take(self._new_rooms)
        if taken is None:
            return False
        self._new_rooms = taken
        return True

    def give_back_new_room(self) -> None:
        """Put a token for a new room back: none was taken on."""
        rate = self._buckets.new_rooms.rate
        if rate:
            self._new_rooms -= 1.0 / rate

    def may_take_new_room(self) -> bool:
        """Tell whether there is a token for a new room."""
        return self._buckets.new_rooms.take(self._new_rooms) is not None
