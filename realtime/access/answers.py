"""What a connection was answered, for a time: a rule that asks the database is not asked anew."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable


class Answers:
    """Answers of yes and no that count for a time.

    When there are too many, those that were kept first go.

    Args:
        most: How many are kept; 0: none.
        clock: Seconds that never go back.
    """

    __slots__ = ("_clock", "_held", "_most")

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._held: dict[Hashable, tuple[bool, float]] | None = None  # most connections ask nothing

    def recall(self, question: Hashable) -> bool | None:
        """Return the answer that still counts, or None."""
        if not self._held:
            return None
        held = self._held.get(question)
        if held is None:
            return None
        answer, until = held
        if self._clock() < until:
            return answer
        del self._held[question]
        return None

    def keep(self, question: Hashable, answer: bool, seconds: float) -> None:
        """Let `answer` count for some seconds from now; 0: not at all."""
        if seconds <= 0 or not self._most:
            return
        if self._held is None:
            self._held = {}
        self._held.pop(question, None)  # it stands at the end now
        if len(self._held) >= self._most:
            del self._held[next(iter(self._held))]
        self._held[question] = answer, self._clock() + seconds

    def forget(self) -> None:
        """Let no answer count any more: who the client is has changed, or what it may."""
        self._held = None
