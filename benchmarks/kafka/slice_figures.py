"""A slice of records: what became of them, the figures of that, and the names of these."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.kafka.sides import Side
from benchmarks.layer.figures import Figure

CPU, READER, REDIS, WORKERS = "CPU per record", "of it the pool", "of it Redis", "of it the workers"
PUBLISHER = "of it the publisher"  # in place of a pool


@dataclass(frozen=True, slots=True, kw_only=True)
class Kafka:
    """The broker of a run.

    Attributes:
        servers: Its address; empty: nobody needs it.
        session: Milliseconds until a group gives up a consumer that fell silent.
        pid: Its process; None: nobody needs it.
    """

    servers: str
    session: int
    pid: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """Nanoseconds of CPU that the parts of a side have used so far.

    Attributes:
        reader: What reads Kafka, or publishes; 0 where the workers read it.
        redis: The Redis server.
        workers: What serves the clients.
    """

    reader: int
    redis: int
    workers: int

    def __sub__(self, other: Used) -> Used:
        return Used(
            reader=self.reader - other.reader,
            redis=self.redis - other.redis,
            workers=self.workers - other.workers,
        )

    @property
    def total(self) -> int:
        """All of them."""
        return self.reader + self.redis + self.workers


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """What became of some records.

    Attributes:
        published: Records.
        used: CPU from the first until the last had arrived.
        seconds: From the first until the last had arrived.
        clients: What the clients counted, see benchmarks.swarm.tally.
        sent_ms: Milliseconds until Kafka had acknowledged a record, or a publishing call returned:
            the median.
    """

    published: int
    used: Used
    seconds: float
    clients: dict[str, Any]
    sent_ms: float


def measure_of(where: str, what: str) -> str:
    """Return the name of what is measured."""
    return f"{where}: {what}"


def whole(count: int, rooms: int) -> int:
    """Return how many records that is if each room gets as many, and one at least."""
    return max(count // rooms, 1) * rooms


def at(rate: int) -> str:
    """Return the name of a stream of records to rooms of one client."""
    return f"{rate:,}/s"


def figure(measure: str, side: Side, done: Slice, round: int, value: float, unit: str) -> Figure:
    """Return a figure, with what was lost and what came twice or too late."""
    return Figure(
        measure=measure,
        layer=side.name,
        round=round,
        value=value,
        unit=unit,
        calls=done.published,
        lost=int(done.clients["lost"]),
        repeated=int(done.clients["misordered"]),
    )


def cpu_figures(
    where: str, side: Side, done: Slice, round: int, *, reader: str = READER
) -> Iterator[Figure]:
    """Yield the CPU of the whole system per record, and its parts; `reader` names the first."""
    used = done.used
    for what, nanoseconds in (
        (CPU, used.total),
        (reader, used.reader),
        (REDIS, used.redis),
        (WORKERS, used.workers),
    ):
        value = nanoseconds / done.published / 1e3
        yield figure(measure_of(where, what), side, done, round, value, "µs")
