"""How long a client waits before it connects again: clients/js/src/backoff.js in Python."""

from __future__ import annotations

import random
from typing import Any, Final

BACKOFF_BASE: Final = 0.5  # seconds: the ceiling of the first wait
BACKOFF_CAP: Final = 20.0  # seconds: the ceiling of every wait


def backoff_delay(attempt: int) -> float:
    """Return seconds by chance, below a ceiling that doubles with each attempt from 0 on.

    All clients of a worker lose it at the same moment, but must not come back at the same moment.
    """
    ceiling: float = min(BACKOFF_CAP, BACKOFF_BASE * 2 ** min(attempt, 10))
    return random.uniform(0, ceiling)  # noqa: S311 - no secret


def return_delay(after_ms: Any) -> float | None:
    """Return how many seconds a server that stops says to wait; None if it says nothing of use."""
    if isinstance(after_ms, bool) or not isinstance(after_ms, (int, float)) or not after_ms >= 0:
        return None
    return min(after_ms / 1000, BACKOFF_CAP)
