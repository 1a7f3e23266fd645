"""How many frames a client may send in a time.

An empty frame is six bytes on the wire and some ten microseconds of this process: without a limit,
two clients take a whole CPU. Each frame is paid for with time, 1/rate seconds, and a client may be
in debt for as long as the window: so it may send `rate * window` frames at once, and `rate` a
second on average. That is one number for each client (the generic cell rate algorithm, ITU-T
I.371).
"""

from __future__ import annotations

FRAME_RATE = 1000  # frames a second from one client
FRAME_RATE_WINDOW = 10.0  # seconds that the rate is averaged over


def paid_until(until: float, frames: int, now: float, rate: int) -> float:
    """Return until when a client has used up its time, after so many more frames.

    Args:
        until: What this returned last; any time in the past at first.
        frames: How many frames came.
        now: The time, in seconds of one clock.
        rate: How many frames a client may send in a second on average.
    """
    return max(until, now) + frames / rate


def is_too_fast(until: float, now: float) -> bool:
    """Say whether a client that has used up its time until then is over the rate."""
    return until - now > FRAME_RATE_WINDOW
