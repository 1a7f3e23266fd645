"""When to ping a client, and when to give it up."""

from __future__ import annotations

from enum import Enum, auto


class Due(Enum):
    """What a connection is to do now."""

    NOTHING = auto()
    PING = auto()
    GIVE_UP = auto()


class Keepalive:
    """One client's signs of life. All times are seconds of one monotonic clock.

    Anything that the client sends is a sign of life, as Daphne's autobahn has it too: not only
    the answer to a ping.
    """

    __slots__ = ("_heard_at", "_pinged_at")

    def __init__(self, now: float) -> None:
        self._heard_at = now
        self._pinged_at: float | None = None  # None: no ping is unanswered

    def heard(self, now: float) -> None:
        """Note a sign of life."""
        self._heard_at = now
        self._pinged_at = None

    def check(self, now: float, *, interval: float, timeout: float) -> Due:
        """Return what is due, and take it as done.

        Args:
            now: The time.
            interval: How long a client may be silent before it is pinged.
            timeout: How long it may take to answer; 0 is for ever.
        """
        if self._pinged_at is not None and timeout:
            return Due.GIVE_UP if now - self._pinged_at > timeout else Due.NOTHING
        if now - (self._pinged_at or self._heard_at) > interval:
            self._pinged_at = now
            return Due.PING
        return Due.NOTHING
