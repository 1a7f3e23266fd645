"""When the next reading is due."""

from __future__ import annotations

import math


def next_tick(start: float, now: float, interval: float) -> float:
    """Return the first of `start`, `start + interval`, … that lies after `now`.

    Times are counted from the start, not from the last tick, so lateness does not add up; ticks
    that were missed altogether are left out.
    """
    return start + (math.floor((now - start) / interval) + 1) * interval
