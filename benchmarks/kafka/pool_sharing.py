"""One pool that all workers share, beside a consumer in each worker."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from benchmarks.kafka.sides import OURS, SEPARATE, Side
from benchmarks.kafka.slice_figures import Kafka, cpu_figures, figure, measure_of, whole
from benchmarks.kafka.system import System
from benchmarks.layer.figures import Figure
from realtime.loadtest.process_look import cpu_ns

CONNECTIONS, FETCHED = "connections to Kafka", "bytes from Kafka per record"
BROKER = "the broker's CPU per record"


def shared_by(workers: int) -> str:
    """Return the name of a stream of records to so many workers."""
    return f"{workers} worker{'s' if workers > 1 else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing:
    """Records at a steady rate to rooms of one client each, with more and more workers.

    Attributes:
        workers: How many, in turn.
        rate: Records/s.
        seconds: For how long.
        rooms: How many, each with one client of one of the workers.
    """

    workers: Sequence[int] = (1, 4, 8)
    rate: int = 1_000
    seconds: int = 6
    rooms: int = 1_000
    rounds: int = 2

    @property
    def reads_kafka(self) -> bool:
        """Whether Kafka has a part in it."""
        return True

    def takes(self, side: Side) -> bool:
        """Return whether a side has a turn."""
        return side.name in (OURS, SEPARATE)

    def quick(self) -> Self:
        """Return the same for a look whether all of it works."""
        return replace(self, workers=(1, 2), seconds=1, rooms=32, rounds=1)

    def run(self, side: Side, kafka: Kafka, round: int, folder: Path) -> Iterator[Figure]:
        """Yield the figures of one side in one round."""
        for workers in self.workers:
            system = System(
                side,
                f"{side.name}-shared-{workers}-{round}",
                servers=kafka.servers,
                session=kafka.session,
                rooms=self.rooms,
                clients=self.rooms,
                workers=workers,
                folder=folder,
            )
            where = shared_by(workers)
            with system:
                before, broker = system.to_kafka(), cpu_of(kafka)
                done = system.stream(whole(self.rate * self.seconds, self.rooms), self.rate)
                after, broker = system.to_kafka(), cpu_of(kafka) - broker
            yield from cpu_figures(where, side, done, round)
            for what, value, unit in (
                (CONNECTIONS, float(after.count), ""),
                (FETCHED, (after.received - before.received) / done.published, "bytes"),
                (BROKER, broker / done.published / 1e3, "µs"),
            ):
                yield figure(measure_of(where, what), side, done, round, value, unit)


def cpu_of(kafka: Kafka) -> int:
    """Return the nanoseconds of CPU that the broker has used so far."""
    return 0 if kafka.pid is None else cpu_ns(kafka.pid)
