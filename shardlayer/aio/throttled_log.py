"""Says once in a while what would otherwise be said a thousand times."""

from __future__ import annotations

import logging
import time

INTERVAL = 60.0  # seconds between two lines about the same kind of trouble


class ThrottledLog:
    """Logs one kind of recurring trouble at most once a minute."""

    def __init__(self, logger: logging.Logger, level: int) -> None:
        self._logger = logger
        self._level = level
        self._due = 0.0

    def __call__(
        self, message: str, *arguments: object, exc_info: BaseException | None = None
    ) -> None:
        """Log a message with its arguments and perhaps a traceback, or leave it."""
        now = time.monotonic()
        if now >= self._due:
            self._due = now + INTERVAL
            self._logger.log(self._level, message, *arguments, exc_info=exc_info)
