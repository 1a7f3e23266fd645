"""How far the clock of the issuer of JWTs is ahead of ours, as far as its tokens show.

If a token was issued ten seconds in the future, the issuer's clock is at least ten seconds ahead.
With such a clock, a token that was issued before a sign-out would seem to be newer than it.
"""

from __future__ import annotations

PERIOD = 3600.0  # seconds; what was seen counts for one to two of these


class IssuerClock:
    """Dates tokens by our clock. Believes no token to be older than it is."""

    def __init__(self) -> None:
        self._ahead = 0.0  # seconds, seen in this period
        self._ahead_before = 0.0  # in the one before
        self._began = 0.0

    def dated(self, issued: float, now: float) -> float:
        """Return when a token was issued, by our clock, as nearly as is known; now, at the latest.

        Args:
            issued: What it says itself, in Unix seconds.
            now: The time, likewise.
        """
        if not 0 <= now - self._began < PERIOD:
            is_next = 0 <= now - self._began < 2 * PERIOD
            self._ahead_before = self._ahead if is_next else 0.0
            self._ahead, self._began = 0.0, now
        self._ahead = max(self._ahead, issued - now)
        return issued - max(self._ahead, self._ahead_before)
