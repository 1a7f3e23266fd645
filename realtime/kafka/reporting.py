"""What the pool says: a live line on a terminal, log lines elsewhere, and of bad records."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TextIO

from realtime.kafka.routing.bad_records import RouteFailed
from realtime.outage import pause
from shardlayer import Histogram, Throttle, ThrottledLog, doubling

logger = logging.getLogger(__name__)

LIVE_INTERVAL = 1.0  # seconds
LOG_INTERVAL = 10.0  # seconds
RECORD_AGES = doubling(0.002, 16)  # bounds in seconds: 2 ms to 65 s

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

    Attributes:
        records: Records that were published since the start.
        ages: From a record's timestamp until Redis had it, in seconds: of the oldest record of
            each batch. Kafka's clock and this machine's may differ.
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
        self.records = 0
        self.ages = Histogram(RECORD_AGES)
        self._records = 0
        self._rooms: set[str] = set()
        self._since = clock()

    def took(self, records: int, rooms: Iterable[str], *, oldest: int = 0) -> None:
        """Note a batch that is done, and the timestamp of its oldest record, in ms since 1970."""
        self.records += records
        self._records += records
        if oldest > 0:
            self.ages.observe(max(time.time() - oldest / 1000, 0))
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


class SkippedRecords:
    """Counts skipped records, and says so once a minute: how many, and where the last one is.

    A topic that is wrong from end to end costs a line a minute, not a line a record. What a route
    raised is an error of the project's, and is logged as one, once a minute with its traceback.

    Attributes:
        total: Records skipped so far.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.total = 0
        self._throttle = Throttle(clock=clock)
        self._unsaid = 0
        self._last = ""
        self._complain = ThrottledLog(logger, logging.ERROR)

    def add(self, topic: str, partition: int, offset: int, why: object) -> None:
        """Count a record."""
        self.total += 1
        self._unsaid += 1
        self._last = f"topic {topic}, partition {partition}, offset {offset}: {why}"
        if isinstance(why, RouteFailed):
            self._complain(
                "KAFKA_ROUTE failed for a record: topic %s, partition %d, offset %d.",
                *(topic, partition, offset),
                exc_info=why.__cause__,
            )
        self.tick()

    def tick(self) -> None:
        """Say what has not been said, when it is time; to be called every few seconds."""
        if self._unsaid and self._throttle.is_due():
            self.say()

    def say(self) -> None:
        """Say what has not been said."""
        if self._unsaid:
            logger.warning("Skipped %d bad record(s); the last: %s.", self._unsaid, self._last)
            self._unsaid = 0


LOGGER = "aiokafka"


def quiet_aiokafka() -> None:
    """Have aiokafka log nothing, unless the project's LOGGING names a level for it.

    While Kafka is away it logs every try of every consumer, 150 lines a second, of which the pool's
    own one line would be lost. What it can't mend itself it raises, and that is told.
    """
    logger = logging.getLogger(LOGGER)
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.CRITICAL)
