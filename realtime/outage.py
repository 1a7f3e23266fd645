"""Waiting for a service that is away: how long, and what is said meanwhile."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from shardlayer import Backoff, Throttle

LASTING_PAUSE = 10.0  # seconds before what waiting does not mend is tried again


class Outage:
    """Says once that a service is away, again each minute, and once that it is back.

    Args:
        service: What is away, as a line begins: "Redis", "Kafka at 127.0.0.1:9092".
        logger: Where the lines go.
        clock: Seconds, monotonic.

    Attributes:
        failures: Tries that failed since it was made.
    """

    def __init__(
        self,
        service: str,
        logger: logging.Logger,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._service = service
        self._logger = logger
        self._clock = clock
        self._since: float | None = None
        self._throttle = Throttle(clock=clock)
        self._backoff = Backoff()
        self._advised: set[str] = set()
        self.failures = 0

    @property
    def is_on(self) -> bool:
        """Whether the service is away, as far as is known."""
        return self._since is not None

    def failed(self, why: object, *, advice: str = "") -> float:
        """Note a failed try; return the seconds to wait before the next (see Backoff).

        With an `advice` it is one that waiting does not mend: that is said once, as an error,
        with what to do; it is tried again all the same, since somebody may do it.
        """
        self.failures += 1
        if advice:
            if advice not in self._advised:
                self._advised.add(advice)
                self._logger.error("%s: %s. Waiting will not help: %s", self._service, why, advice)
            return LASTING_PAUSE
        now = self._clock()
        if self._since is None:
            self._since = now
            self._throttle.reset()
        if self._throttle.is_due():
            self._say(now - self._since, why)
        return self._backoff.failed()

    def over(self) -> None:
        """Note a success."""
        if self._since is not None:
            away = self._clock() - self._since
            self._logger.warning("%s is back after %.1f s.", self._service, away)
            self._since = None
            self._backoff.reset()

    def _say(self, away: float, why: object) -> None:
        if away:
            line = "%s has been away for %.0f s, waiting for it: %s"
            self._logger.warning(line, self._service, away, why)
        else:
            self._logger.warning("%s is not available, waiting for it: %s", self._service, why)


async def pause(seconds: float, *, unless: asyncio.Event) -> bool:
    """Wait so long, or until the event; return whether the event is set."""
    try:
        await asyncio.wait_for(unless.wait(), seconds)
    except TimeoutError:
        return False
    return True
