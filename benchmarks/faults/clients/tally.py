"""What all clients of one slice saw, and how each sequence of numbers is judged; pure.

A source gives its messages in a room the numbers 0, 1, 2 … and sends each until it is acknowledged,
so every client that stays or comes back in time must be handed each number once and in order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Tally:
    """Counts of one slice, over all clients. Times are nanoseconds of CLOCK_MONOTONIC.

    Attributes:
        begun: When the slice began.
        mended: When what was broken was whole again; None until then.
        waiting: Sequences that have not been handed anything that was sent after that.
        delivered: Messages handed on.
        lost: Numbers that were acknowledged and never came, and nobody was told.
        twice: Messages handed on again.
        misordered: Messages that came after a later one.
        told: Numbers missing or repeated where the client had been told to expect it.
        notices: How often a client was told, for a room.
        asked_again: How often a client found a gap itself and had the server fill it.
        ended: Connections that ended.
        pause: The longest time for which a sequence stood still within the slice.
        pause_mended: The same, of the time after `mended`.
        well: When the last of `waiting` had something.
        timed: Rooms whose latencies are kept.
        latencies: From the first try to send to the handing on, of what came to these rooms.
    """

    begun: int
    mended: int | None = None
    waiting: int = 0
    delivered: int = 0
    lost: int = 0
    twice: int = 0
    misordered: int = 0
    told: int = 0
    notices: int = 0
    asked_again: int = 0
    ended: int = 0
    pause: int = 0
    pause_mended: int = 0
    well: int | None = None
    timed: frozenset[str] = frozenset()
    latencies: list[int] = field(default_factory=list)

    def account(self) -> dict[str, Any]:
        """Return what Row has of it.

        The pause of a client that heard nothing again is not over, so none is the longest.
        """
        well = pause = pause_mended = None
        if self.mended is not None and self.well is not None:
            well = (self.well - self.mended) / 1e6
        if self.mended is None or self.well is not None:
            pause, pause_mended = self.pause / 1e6, self.pause_mended / 1e6
        return {
            "delivered": self.delivered,
            "lost": self.lost,
            "twice": self.twice,
            "misordered": self.misordered,
            "told": self.told,
            "notices": self.notices,
            "asked_again": self.asked_again,
            "ended": self.ended,
            "pause_ms": pause,
            "pause_mended_ms": pause_mended,
            "well_ms": well,
        }


@dataclass(slots=True)
class Sequence:
    """The messages of one source in one room, as one client was handed them.

    Attributes:
        expected: The number that must come next.
        last: When something came last.
        anew: Whether the client was told that it may have missed something, and nothing came since.
        fresh: Whether something came that was sent after the slice's `mended`.
    """

    expected: int = 0
    last: int = 0
    anew: bool = False
    fresh: bool = True
    _missing: set[int] = field(default_factory=set)

    def take(self, number: int, sent: int, now: int, tally: Tally) -> None:
        """Count a message; `sent` and `now` are when it was first sent and handed on."""
        tally.delivered += 1
        if self.anew:
            self.anew = False
            tally.told += abs(number - self.expected)
            self.expected = number + 1
        elif number == self.expected:
            self.expected += 1
        elif number > self.expected:
            self._missing.update(range(self.expected, number))
            self.expected = number + 1
        elif number in self._missing:
            self._missing.discard(number)
            tally.misordered += 1
        else:
            tally.twice += 1
        self._time(sent, now, tally)

    def _time(self, sent: int, now: int, tally: Tally) -> None:
        tally.pause = max(tally.pause, now - max(self.last, tally.begun))
        if tally.mended is not None:
            tally.pause_mended = max(tally.pause_mended, now - max(self.last, tally.mended))
            if not self.fresh and sent >= tally.mended:
                self.fresh = True
                tally.waiting -= 1
                if not tally.waiting:
                    tally.well = now
        self.last = now

    def complete(self, end: int) -> bool:
        """Return whether all numbers below `end` are there, or will not come as was told."""
        return (self.expected >= end or self.anew) and not self._missing

    def close(self, end: int, tally: Tally) -> None:
        """Count what is missing below `end`; whatever comes of it later is too late."""
        tally.lost += len(self._missing)
        self._missing.clear()
        trailing = max(0, end - self.expected)
        if self.anew:
            tally.told += trailing
        else:
            tally.lost += trailing
        self.expected += trailing
