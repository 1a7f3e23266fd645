"""Says once in a while what would otherwise be said a thousand times."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

INTERVAL = 60.0  # seconds between two lines about the same kind of trouble


class Throttle:
    """Tells when it is time to say something again: at first, and once a minute from then on.

    Args:
        clock: Seconds, monotonic.
    """

    __slots__ = ("_clock", "_due")

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._due = float("-inf")

    def is_due(self) -> bool:
        """Tell whether it is time. If so it is said now, and the next time is in a minute."""
        now = self._clock()
        if now < self._due:
            return False
        self._due = now + INTERVAL
        return True

    def reset(self) -> None:
        """Have it be time at once: what comes next is another trouble."""
        self._due = float("-inf")


class ThrottledLog:
    """Logs one kind of recurring trouble at most once a minute."""

    __slots__ = ("_level", "_logger", "_throttle")

    def __init__(self, logger: logging.Logger, level: int) -> None:
        self._logger = logger
        self._level = level
        self._throttle = Throttle()

    def __call__(
        self, message: str, *arguments: object, exc_info: BaseException | None = None
    ) -> None:
        """Log a message with its arguments and perhaps a traceback, or leave it."""
        if self._throttle.is_due():
            self._logger.log(self._level, message, *arguments, exc_info=exc_info)
