"""Timers that come again and again, and wake an idle process together.

Each wake-up costs an idle process 0.1 ms, whatever is done then. So what is due every so often is
due on the whole multiples of its pause: what comes every 0.2 s shares the wake-ups of what comes
every 0.1 s.
"""

from __future__ import annotations

import math

EARLY = 0.01  # of a pause: an event loop may call a little before a timer is due


def next_tick(now: float, pause: float) -> float:
    """Return the next whole multiple of a pause, in seconds of the clock that `now` is of."""
    return (math.floor(now / pause + EARLY) + 1) * pause
