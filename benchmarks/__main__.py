"""`python -m benchmarks NAME`: measure, print the tables, write the JSON.

The exit code is 0 when all targets that were measured were reached; with --quick when all ran, and
what is promised was kept. A target of which a round ran and came to nothing was not reached; one
whose peer is not there was not measured, but something has to be.
"""

from __future__ import annotations

import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.admin.plans import run_admin
from benchmarks.admin.targets import admin_table, admin_targets
from benchmarks.arguments import Arguments, read_arguments
from benchmarks.balancer.plans import run_balancer
from benchmarks.balancer.targets import balancer_table, balancer_targets
from benchmarks.broadcast import SCENARIOS
from benchmarks.calm.plans import run_calm
from benchmarks.calm.targets import calm_table, calm_targets
from benchmarks.children import ChildFailed
from benchmarks.compression.plans import run_compression
from benchmarks.compression.targets import compression_table, compression_targets
from benchmarks.connect import Connections
from benchmarks.faults.run import run_faults
from benchmarks.faults.tables import COLUMNS, cells, faults_table
from benchmarks.faults.targets import faults_targets
from benchmarks.history.run import run_history
from benchmarks.history.tables import history_table
from benchmarks.history.targets import history_targets
from benchmarks.hostile.plans import Hostile
from benchmarks.hostile.targets import hostile_table, hostile_targets
from benchmarks.k6.plans import run_k6
from benchmarks.k6.targets import k6_table, k6_targets
from benchmarks.kafka.plans import run_kafka
from benchmarks.kafka.sides import beside, loop, ours, separate
from benchmarks.kafka.targets import kafka_table, kafka_targets
from benchmarks.layer.figures import Figure
from benchmarks.layer.run import VERSIONS, WHAT, run_layer
from benchmarks.layer.tables import layer_table
from benchmarks.layer.targets import layer_targets
from benchmarks.machine import (
    Placement,
    TooFewDescriptors,
    describe_machine,
    describe_versions,
    raise_descriptor_limit,
)
from benchmarks.observing.plans import run_observing
from benchmarks.observing.targets import observing_table, observing_targets
from benchmarks.outbox.plans import run_outbox
from benchmarks.outbox.targets import outbox_table, outbox_targets
from benchmarks.peers import PEERS
from benchmarks.peers.base import Peer, Unavailable
from benchmarks.plans import sized
from benchmarks.presence.plans import run_presence
from benchmarks.presence.targets import presence_table, presence_targets
from benchmarks.regression.plans import run_regression
from benchmarks.regression.targets import regression_table, regression_targets
from benchmarks.results import Samples, write_results
from benchmarks.rig import NotDelivering
from benchmarks.rolling.plans import run_rolling
from benchmarks.rolling.targets import rolling_table, rolling_targets
from benchmarks.samples import Delivered
from benchmarks.scale.plans import run_scale
from benchmarks.scale.targets import scale_table, scale_targets
from benchmarks.soak.run import Soak
from benchmarks.soak.slopes import Reading
from benchmarks.soak.targets import soak_table, soak_targets
from benchmarks.tables import broadcast_table, connect_table, targets_table
from benchmarks.targets import Target, broadcast_targets, connect_targets
from benchmarks.valkey import binary

Outcome = tuple[Samples, list[Target], Table]
"""What a benchmark returns; it notes in `run` what it ran."""

_INTERRUPTED = 128 + signal.SIGINT
_TERMINATED = 128 + signal.SIGTERM
_WIDTH = 160  # columns, where the output goes to a file or a log
_MOST_CONNECTIONS = 4000  # of one process, in any scenario


def main(words: Sequence[str]) -> int:
    """Run one benchmark and return the exit code."""
    asked = read_arguments(words)
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDTH)
    run: dict[str, Any] = {
        "command": " ".join(["python -m benchmarks", *words]),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": describe_machine(),
    }
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TERMINATED))  # with all that is left behind
    try:
        raise_descriptor_limit(_MOST_CONNECTIONS)
        with tempfile.TemporaryDirectory(prefix="benchmarks-") as name:
            folder = Path(name)
            measure = _MEASURE[asked.benchmark]
            samples, targets, table = measure(asked, run, folder, console)
    except KeyboardInterrupt:
        console.print("Interrupted.")
        return _INTERRUPTED
    except (ChildFailed, NotDelivering, TooFewDescriptors) as error:
        console.print(str(error), style="bold red", highlight=False, markup=False)
        return 2
    if not samples:
        console.print("Nothing was measured.", style="bold red")
        return 1
    write_results(asked.json, run, samples, targets)
    console.print(table, targets_table(targets), f"Written to {asked.json}.")
    if asked.quick:
        console.print("A quick look: these figures say nothing.")
        targets = [target for target in targets if target.promise]
    return int(any(target.reached is False for target in targets))


def _build(asked: Arguments, run: dict[str, Any], folder: Path, console: Console) -> list[Peer]:
    """Return the peers that can run here, having said which can't; note them in `run`."""
    peers = []
    for peer in (PEERS[name] for name in asked.peers):
        try:
            peer.build(folder)
        except Unavailable as reason:
            console.print(f"[yellow]Without {peer.title}: {reason}.")
        else:
            peers.append(peer)
    names = [distribution for peer in peers for distribution in peer.versions]
    run["versions"] = describe_versions(names, binary())
    run["peers"] = {peer.name: peer.what for peer in peers}
    return peers


def _broadcast(asked: Arguments, run: dict[str, Any], folder: Path, console: Console) -> Outcome:
    peers = _build(asked, run, folder, console)

    def measure() -> Iterator[Delivered]:
        for name in asked.scenarios:
            scenario = sized(SCENARIOS[name], rounds=asked.rounds, quick=asked.quick)
            yield from scenario.run(peers, Placement.of_machine(), folder)

    samples = []
    for sample in measure():
        samples.append(sample)
        console.print(
            f"round {sample.round}  {sample.scenario:15} {sample.peer:9}"
            f"{sample.us_per_delivery:9.2f} µs  p95 {sample.p95_ms:7.1f} ms  lost {sample.lost}",
            highlight=False,
        )
    return samples, broadcast_targets(samples), broadcast_table(peers, samples)


def _connect(asked: Arguments, run: dict[str, Any], folder: Path, console: Console) -> Outcome:
    peers = _build(asked, run, folder, console)
    plan = sized(Connections(), rounds=asked.rounds, quick=asked.quick)
    samples = []
    for sample in plan.run(peers, Placement.of_machine(), folder):
        samples.append(sample)
        console.print(
            f"round {sample.round}  {sample.peer:9}{sample.ms_per_connect:7.3f} ms"
            f"{sample.kb_per_connection:7.1f} KB",
            highlight=False,
        )
    return samples, connect_targets(samples), connect_table(peers, samples)


def _layer(asked: Arguments, run: dict[str, Any], folder: Path, console: Console) -> Outcome:
    run["versions"] = describe_versions(VERSIONS, binary())
    run["peers"] = WHAT
    figures = _shown(
        run_layer(asked.measures, asked.peers, folder, rounds=asked.rounds, quick=asked.quick),
        console,
    )
    return figures, layer_targets(figures), layer_table(figures)


def _of_plans(
    run_them: Callable[..., Iterator[Figure]],
    targets: Callable[[Sequence[Figure]], list[Target]],
    table: Callable[[Sequence[Figure]], Table],
    *programs: str,
) -> Callable[[Arguments, dict[str, Any], Path, Console], Outcome]:
    """Return what measures by plans of benchmarks.plans.

    Args:
        programs: Distributions of programs that take part.
    """

    def measure(asked: Arguments, run: dict[str, Any], folder: Path, console: Console) -> Outcome:
        run["versions"] = describe_versions((*VERSIONS, *programs), binary())
        figures = _shown(
            run_them(asked.measures, folder, rounds=asked.rounds, quick=asked.quick), console
        )
        return figures, targets(figures), table(figures)

    return measure


def _hostile(asked: Arguments, run: dict[str, Any], folder: Path, console: Console) -> Outcome:
    run["versions"] = describe_versions((*VERSIONS, "hypothesis"), binary())
    plan = sized(Hostile(), rounds=asked.rounds, quick=asked.quick)
    figures = _shown(plan.run(Placement.of_machine(), folder), console)
    return figures, hostile_targets(figures), hostile_table(figures)


def _soak(asked: Arguments, run: dict[str, Any], folder: Path, console: Console) -> Outcome:
    run["versions"] = describe_versions(VERSIONS, binary())
    plan = Soak().quick() if asked.quick else Soak(minutes=asked.minutes)

    def say(reading: Reading) -> None:
        console.print(
            f"{reading.at:7.0f} s  worker {reading.worker_bytes / 2**20:7.1f} MB"
            f" {reading.descriptors:5.0f} files  Redis {reading.redis_bytes / 2**20:6.2f} MB"
            f" {reading.redis_keys:6.0f} keys",
            highlight=False,
        )

    figures = list(plan.run(Placement.of_machine(), folder, say))
    return figures, soak_targets(figures, plan.minutes), soak_table(figures)


def _kafka(asked: Arguments, run: dict[str, Any], folder: Path, console: Console) -> Outcome:
    run["versions"] = describe_versions((*VERSIONS, "aiokafka"), binary())
    run["broker"] = asked.kafka
    sides = [ours(), loop(), separate()]
    if asked.beside is not None:
        sides.insert(1, beside(asked.beside))
    figures = _shown(
        run_kafka(
            asked.measures,
            sides,
            asked.logs or folder,
            broker=asked.kafka,
            rounds=asked.rounds,
            quick=asked.quick,
        ),
        console,
    )
    return figures, kafka_targets(figures), kafka_table(figures)


def _shown(measured: Iterator[Figure], console: Console) -> list[Figure]:
    """Return all figures, having shown each when it was measured."""
    figures = []
    for figure in measured:
        figures.append(figure)
        value = "none succeeded" if figure.value is None else f"{figure.value:,.4g} {figure.unit}"
        console.print(
            f"round {figure.round}  {figure.measure:28} {figure.layer:10}{value:>18}"
            f"  lost {figure.lost}  {dict(figure.failed) or ''}",
            highlight=False,
        )
    return figures


def _faults(asked: Arguments, run: dict[str, Any], folder: Path, console: Console) -> Outcome:
    run["versions"] = describe_versions(VERSIONS, binary())
    run["seed"] = asked.seed
    console.print(f"Seed {asked.seed}, {asked.kafka} Kafka.", highlight=False)
    console.print(" ".join(COLUMNS), highlight=False)
    rows = []
    for row in run_faults(
        asked.only,
        asked.logs or folder,
        count=asked.count,
        seed=asked.seed,
        broker=asked.kafka,
        quick=asked.quick,
        say=lambda line: console.print(f"[yellow]{line}", highlight=False),
    ):
        rows.append(row)
        console.print(" ".join(cells(row)), highlight=False)
    return rows, faults_targets(rows), faults_table(rows)


_MEASURE: Mapping[str, Callable[[Arguments, dict[str, Any], Path, Console], Outcome]] = {
    "broadcast": _broadcast,
    "connect": _connect,
    "layer": _layer,
    "history": _of_plans(run_history, history_targets, history_table),
    "presence": _of_plans(run_presence, presence_targets, presence_table),
    "calm": _of_plans(run_calm, calm_targets, calm_table),
    "compression": _of_plans(run_compression, compression_targets, compression_table),
    "observing": _of_plans(run_observing, observing_targets, observing_table),
    "outbox": _of_plans(run_outbox, outbox_targets, outbox_table),
    "admin": _of_plans(run_admin, admin_targets, admin_table),
    "k6": _of_plans(run_k6, k6_targets, k6_table, "k6"),
    "balancer": _of_plans(run_balancer, balancer_targets, balancer_table),
    "regression": _of_plans(run_regression, regression_targets, regression_table),
    "scale": _of_plans(run_scale, scale_targets, scale_table),
    "rolling": _of_plans(run_rolling, rolling_targets, rolling_table),
    "kafka": _kafka,
    "hostile": _hostile,
    "soak": _soak,
    "faults": _faults,
}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
