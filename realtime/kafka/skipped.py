"""The records that could not be published."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)

SAY_EVERY = 60.0  # seconds


class SkippedRecords:
    """Counts skipped records, and says so once a minute: how many, and where the last one is.

    A topic that is wrong from end to end costs a line a minute, not a line a record.

    Attributes:
        total: Records skipped so far.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.total = 0
        self._clock = clock
        self._unsaid = 0
        self._last = ""
        self._said: float | None = None

    def add(self, topic: str, partition: int, offset: int, why: object) -> None:
        """Count a record."""
        self.total += 1
        self._unsaid += 1
        self._last = f"topic {topic}, partition {partition}, offset {offset}: {why}"
        self.tick()

    def tick(self) -> None:
        """Say what has not been said, when it is time; to be called every few seconds."""
        if self._said is None or self._clock() - self._said >= SAY_EVERY:
            self.say()

    def say(self) -> None:
        """Say what has not been said."""
        if self._unsaid:
            logger.warning("Skipped %d bad record(s); the last: %s.", self._unsaid, self._last)
            self._unsaid = 0
            self._said = self._clock()
