"""How long to wait before the next try."""

from __future__ import annotations

import random
from collections.abc import Callable

FIRST = 0.2  # seconds
LONGEST = 2.0  # seconds


class Backoff:
    """Waits that double from 0.2 to 2 s, each shortened by up to half at random.

    Without chance, those who failed together would try together forever.
    """

    def __init__(self, *, chance: Callable[[], float] = random.random) -> None:
        self._chance = chance
        self._next = FIRST

    def failed(self) -> float:
        """Return the seconds to wait after one more failure."""
        delay, self._next = self._next, min(self._next * 2, LONGEST)
        return delay * (0.5 + self._chance() / 2)

    def reset(self) -> None:
        """Begin anew after a success."""
        self._next = FIRST
