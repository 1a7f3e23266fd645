"""What the pool says about its work: a live line on a terminal, log lines elsewhere."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TextIO

from realtime.kafka.skipped import SkippedRecords
from realtime.outage import pause

logger = logging.getLogger(__name__)

LIVE_INTERVAL = 1.0  # seconds
LOG_INTERVAL = 10.0  # seconds

_CLEAR_LINE = "\r\x1b[K"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The pool's work in one interval.

    Attributes:
        records: Records taken.
        seconds: The interval's length.
        lag: Records that wait in Kafka.
        rooms: Different rooms published to.
        skipped: Bad records since the start.
    """

    records: int
    seconds: float
    lag: int
    rooms: int
    skipped: int

    def __str__(self) -> str:
        skipped = f", {self.skipped:,} skipped" if self.skipped else ""
        rate = self.records / self.seconds
        return f"{rate:,.0f} records/s, lag {self.lag:,}, {self.rooms:,} rooms{skipped}"


class Progress:
    """Collects figures from the pool's readers and shows them.

    Args:
        lag: Asked for the records that wait in Kafka.
        skipped: The bad records; they are spoken of here too.
        terminal: Where the live line goes; None logs.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        *,
        lag: Callable[[], int],
        skipped: SkippedRecords,
        terminal: TextIO | None,
        clock: Callable[[], float],
    ) -> None:
        self._lag = lag
        self._skipped = skipped
        self._terminal = terminal
        self._clock = clock
        self._records = 0
        self._rooms: set[str] = set()
        self._since = clock()

    def took(self, records: int, rooms: Iterable[str]) -> None:
        """Note a batch that is done."""
        self._records += records
        self._rooms.update(rooms)

    def sample(self) -> Sample:
        """Return the figures since the last sample, and start anew."""
        now = self._clock()
        sample = Sample(
            records=self._records,
            seconds=max(now - self._since, 0.001),
            lag=self._lag(),
            rooms=len(self._rooms),
            skipped=self._skipped.total,
        )
        self._records = 0
        self._rooms.clear()
        self._since = now
        return sample

    async def run(self, stop: asyncio.Event) -> None:
        """Show a sample each interval until `stop`."""
        interval = LOG_INTERVAL if self._terminal is None else LIVE_INTERVAL
        while not await pause(interval, unless=stop):
            self._show(self.sample())
            self._skipped.tick()
        self._skipped.say()
        if self._terminal is not None:
            self._terminal.write("\n")

    def _show(self, sample: Sample) -> None:
        if self._terminal is not None:
            self._terminal.write(f"{_CLEAR_LINE}{sample}")
            self._terminal.flush()
        elif sample.records or sample.lag:
            logger.info("%s", sample)
