"""How much one client may ask for in a second.

A token bucket fills at a rate and holds a burst; what a client asks for takes tokens from it. So a
client may do much at once, and in the long run no more than the rate.
"""

from __future__ import annotations

from time import monotonic

from realtime.conf import Conf

BURST_SECONDS = 10  # of its rate a bucket holds, at least


class TokenBucket:
    """Tokens that come at a rate and are taken one by one or more.

    Args:
        rate: Tokens a second; 0: there are always enough.
        burst: Tokens that it holds, at first and at most.
    """

    __slots__ = ("_burst", "_rate", "_then", "_tokens")

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._then = monotonic()

    def has(self, count: float = 1.0) -> bool:
        """Tell whether so many tokens are there."""
        if not self._rate:
            return True
        now = monotonic()
        self._tokens = min(self._burst, self._tokens + (now - self._then) * self._rate)
        self._then = now
        return self._tokens >= count

    def take(self, count: float = 1.0) -> bool:
        """Take so many tokens, if they are there; say whether they were."""
        if not self.has(count):
            return False
        self._tokens -= count
        return True


class ClientLimits:
    """The buckets of one connection: what it sends, what it publishes, which rooms it takes on."""

    __slots__ = ("_commands", "_conf", "_new_rooms", "_publications")

    def __init__(self, conf: Conf) -> None:
        self._conf = conf
        self._commands: TokenBucket | None = None  # made when first asked, as the others
        self._publications: TokenBucket | None = None
        self._new_rooms: TokenBucket | None = None

    @property
    def commands(self) -> TokenBucket:
        """One token a command, and one for each room of a list."""
        if self._commands is None:
            self._commands = self._bucket(self._conf.max_client_commands)
        return self._commands

    @property
    def publications(self) -> TokenBucket:
        """One token a publication."""
        if self._publications is None:
            self._publications = self._bucket(self._conf.max_client_publishes, least=0)
        return self._publications

    @property
    def new_rooms(self) -> TokenBucket:
        """One token for each room that is joined, or that the first publication goes to."""
        if self._new_rooms is None:
            self._new_rooms = self._bucket(self._conf.max_client_new_rooms)
        return self._new_rooms

    def _bucket(self, rate: float, least: int = 2) -> TokenBucket:
        # A client that comes back asks for all of its rooms at once.
        return TokenBucket(
            rate, max(1.0, rate * BURST_SECONDS, least * self._conf.max_rooms_per_client)
        )
