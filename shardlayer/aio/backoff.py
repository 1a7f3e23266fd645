"""How long to wait before the next try. No I/O."""

from __future__ import annotations

import random
from collections.abc import Callable

FIRST = 0.2  # seconds
LONGEST = 2.0  # seconds


class Backoff:
    """Waits that double with each failure in a row, each shortened by up to half at random.

    Without chance, those who failed together would try together forever.

    Args:
        first: Seconds of the first wait, before chance shortens it.
        longest: Seconds of a wait, at most.
        chance: Returns a number from 0 to 1; 1 shortens nothing.
    """

    __slots__ = ("_chance", "_first", "_longest", "_next")

    def __init__(
        self,
        first: float = FIRST,
        longest: float = LONGEST,
        *,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._first = first
        self._longest = longest
        self._chance = chance
        self._next = first

    def failed(self) -> float:
        """Return the seconds to wait after one more failure."""
        delay, self._next = self._next, min(self._next * 2, self._longest)
        return delay * (0.5 + self._chance() / 2)

    def reset(self) -> None:
        """Begin anew after a success."""
        self._next = self._first
