"""The measures of `kafka`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol, Self

from benchmarks.faults.brokers import APACHE, EMBEDDED, make_broker
from benchmarks.kafka.pool_sharing import Sharing
from benchmarks.kafka.sides import SEPARATE, Side
from benchmarks.kafka.slice_figures import (
    CPU,
    PUBLISHER,
    Kafka,
    at,
    cpu_figures,
    figure,
    measure_of,
    whole,
)
from benchmarks.kafka.system import System
from benchmarks.layer.figures import Figure
from benchmarks.plans import Sized, sized

P50, P99 = "p50", "p99"
ACKNOWLEDGED = "p50 until Kafka has it"
BACKLOG, RATE = "backlog", "records/s"
IDLE = "publish() to the client, idle, p50"
RETURNS = "publish() returns, idle, p50"
SCRIPT = "a script in Redis, idle, on average"
PING = "PING from a blocking socket, idle, p50"
MANY = "20,000/s to 2,000 rooms"
ALONE = measure_of(MANY, CPU)
# Milliseconds. What reads stands still while a backlog is made. The embedded broker has the first
# member of a group wait for half of it.
SESSIONS: Final = {APACHE: 30_000, EMBEDDED: 6_000}


class Plan(Sized, Protocol):
    """One measure, which has each side in turn do the same."""

    @property
    def rounds(self) -> int:
        """How often."""

    @property
    def reads_kafka(self) -> bool:
        """Whether Kafka has a part in it."""

    def takes(self, side: Side) -> bool:
        """Return whether a side has a turn."""

    def run(self, side: Side, kafka: Kafka, round: int, folder: Path) -> Iterator[Figure]:
        """Yield the figures of one side in one round."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """Records at steady rates to rooms, and a backlog.

    Attributes:
        name: In topics, logs and the names of measures; empty: nothing more is said.
        rates: Records/s, with the seconds of each.
        backlog: Records that wait in Kafka at once; 0: none.
        rooms: How many.
        clients: How many.
        workers: How many.
    """

    name: str = ""
    rates: Mapping[int, int]
    backlog: int = 0
    rooms: int = 1_000
    clients: int = 1_000
    workers: int = 1
    rounds: int = 3

    @property
    def reads_kafka(self) -> bool:
        """Whether Kafka has a part in it."""
        return True

    def takes(self, side: Side) -> bool:
        """Return whether a side has a turn."""
        return side.name != SEPARATE

    def quick(self) -> Self:
        """Return the same for a look whether all of it works."""
        share = self.clients // self.rooms
        return replace(
            self,
            rates=dict.fromkeys(self.rates, 1),
            backlog=min(self.backlog, 1_000),
            rooms=30,
            clients=30 * min(share, 3),
            rounds=1,
        )

    def run(self, side: Side, kafka: Kafka, round: int, folder: Path) -> Iterator[Figure]:
        """Yield the figures of one side in one round."""
        system = System(
            side,
            self.topic(side, round),
            servers=kafka.servers,
            session=kafka.session,
            rooms=self.rooms,
            clients=self.clients,
            workers=self.workers,
            folder=folder,
        )
        with system:
            for rate, seconds in self.rates.items():
                done = system.stream(whole(rate * seconds, self.rooms), rate)
                where = f"{at(rate)} {self.name}".strip()
                yield from cpu_figures(where, side, done, round)
                for what, value in (
                    (P50, done.clients["p50_ms"]),
                    (P99, done.clients["p99_ms"]),
                    (ACKNOWLEDGED, done.sent_ms),
                ):
                    yield figure(measure_of(where, what), side, done, round, value, "ms")
            if self.backlog:
                done = system.backlog(whole(self.backlog, self.rooms))
                yield from cpu_figures(BACKLOG, side, done, round)
                value = done.published / done.seconds
                yield figure(measure_of(BACKLOG, RATE), side, done, round, value, "records/s")

    def topic(self, side: Side, round: int) -> str:
        """Return the topic of one side in one round."""
        return f"{side.name}-{self.name or 'stream'}-{round}".replace(" ", "-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Publishing:
    """Publications at a steady rate, without Kafka.

    Attributes:
        name: In logs.
        is_late: Whether it is measured how late each is, and not what it costs.
        rate: Publications/s.
        each: How many of them with one call.
        seconds: For how long.
        rooms: How many, each with one client.
    """

    name: str
    is_late: bool
    rate: int
    each: int
    seconds: int
    rooms: int
    rounds: int = 3

    @property
    def reads_kafka(self) -> bool:
        """Whether Kafka has a part in it."""
        return False

    def takes(self, side: Side) -> bool:
        """Return whether a side has a turn."""
        return side.is_layer

    def quick(self) -> Self:
        """Return the same for a look whether all of it works."""
        return replace(self, seconds=1, rooms=min(self.rooms, 30), rounds=1)

    def run(self, side: Side, kafka: Kafka, round: int, folder: Path) -> Iterator[Figure]:
        """Yield the figures of one side in one round."""
        system = System(
            side,
            f"{side.name}-{self.name}-{round}",
            servers="",
            session=kafka.session,
            rooms=self.rooms,
            clients=self.rooms,
            workers=1,
            folder=folder,
        )
        with system:
            count = whole(self.rate * self.seconds, self.rooms)
            if self.is_late:
                yield from self._late(system, count, round)
            else:
                done = system.publish(count, self.rate, self.each)
                yield from cpu_figures(MANY, side, done, round, reader=PUBLISHER)

    def _late(self, system: System, count: int, round: int) -> Iterator[Figure]:
        """Yield how late each is, and what of that a script and a PING take."""
        scripts, spent = system.scripts()
        done = system.publish(count, self.rate, self.each)
        more_scripts, more_spent = system.scripts()
        script = (more_spent - spent) / (more_scripts - scripts) / 1e3
        for measure, value in (
            (IDLE, done.clients["p50_ms"]),
            (RETURNS, done.sent_ms),
            (SCRIPT, script),
            (PING, system.ping_ms(count, self.rate)),
        ):
            yield figure(measure, system.side, done, round, value, "ms")


BIG, SEVERAL = "to 50 rooms of 40", "with 3 workers"

PLANS: Final[Mapping[str, Callable[[], Plan]]] = {
    "rates": lambda: Stream(rates={200: 10, 1_000: 8, 5_000: 6}, backlog=100_000),
    "workers": lambda: Stream(
        name=SEVERAL, rates={1_000: 8}, rooms=999, clients=999, workers=3, rounds=2
    ),
    "big": lambda: Stream(name=BIG, rates={1_000: 8}, rooms=50, clients=2_000, rounds=2),
    "idle": lambda: Publishing(name="idle", is_late=True, rate=50, each=1, seconds=6, rooms=1),
    "alone": lambda: Publishing(
        name="alone", is_late=False, rate=20_000, each=200, seconds=5, rooms=2_000
    ),
    "shared": Sharing,
}
"""What can be asked for."""


def run_kafka(
    names: Sequence[str],
    sides: Sequence[Side],
    folder: Path,
    *,
    broker: str = APACHE,
    rounds: int | None,
    quick: bool,
) -> Iterator[Figure]:
    """Yield the figures of all rounds of all measures.

    Args:
        names: Of PLANS.
        sides: What is measured beside each other.
        folder: For logs and the broker's data.
        broker: The kind of Kafka.
        rounds: None for each measure's own.
        quick: Whether it is only a look whether all works.
    """
    plans = [sized(PLANS[name](), rounds=rounds, quick=quick) for name in names]
    kafka = Kafka(servers="", session=SESSIONS[broker])
    with ExitStack() as stack:
        if any(plan.reads_kafka for plan in plans):
            made = stack.enter_context(make_broker(broker, folder / "kafka"))
            kafka = replace(kafka, servers=made.bootstrap_servers, pid=made.pid)
        for plan in plans:
            able = [side for side in sides if plan.takes(side)]
            for round in range(1, plan.rounds + 1):
                for side in able if round % 2 else reversed(able):
                    yield from plan.run(side, kafka, round, folder)
