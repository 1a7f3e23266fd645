"""What is to be reached; pure."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from benchmarks.kafka.plans import ALONE, BACKLOG, IDLE, P50, P99, RATE
from benchmarks.kafka.pool_sharing import CONNECTIONS, FETCHED, shared_by
from benchmarks.kafka.sides import BESIDE, OURS, SEPARATE
from benchmarks.kafka.slice_figures import CPU, at, measure_of
from benchmarks.layer.figures import Figure
from benchmarks.layer.tables import figures_table
from benchmarks.layer.targets import mishaps_target, ratio_target, value_target
from benchmarks.targets import Target

# Of what commit 1969efd needs, with `--beside` a checkout of it.
LIMITS = {
    measure_of(at(200), CPU): 0.75,
    measure_of(at(1_000), CPU): 0.65,
    measure_of(at(5_000), CPU): 0.55,
    measure_of(at(200), P50): 0.75,
    measure_of(at(1_000), P50): 0.75,
    measure_of(at(5_000), P50): 0.75,
    measure_of(at(5_000), P99): 0.5,
    IDLE: 0.8,
}
FASTER = {measure_of(BACKLOG, RATE): 1.2}
COST = {ALONE: 20.0}  # µs
# Of what a consumer in each worker needs.
SHARED = {measure_of(shared_by(8), what): 0.3 for what in (CPU, CONNECTIONS, FETCHED)}


def kafka_targets(figures: Sequence[Figure]) -> list[Target]:
    """Return the targets of `kafka`."""

    def ratio(measure: str, limit: float, *, peer: str = BESIDE, at_least: bool = False) -> Target:
        return ratio_target(figures, measure, limit, OURS, peer, at_least=at_least)

    def cost(measure: str, limit: float) -> Target:
        return value_target(figures, measure, limit, "µs", layer=OURS)

    ours = [figure for figure in figures if figure.layer == OURS]
    return [
        *(ratio(measure, limit) for measure, limit in LIMITS.items()),
        *(ratio(measure, limit, at_least=True) for measure, limit in FASTER.items()),
        *(cost(measure, limit) for measure, limit in COST.items()),
        *(ratio(measure, limit, peer=SEPARATE) for measure, limit in SHARED.items()),
        mishaps_target("records lost, twice or too late", ours, "lost", "repeated"),
    ]


def kafka_table(figures: Sequence[Figure]) -> Table:
    """Return one line per measure and side."""
    return figures_table("A Kafka record to the clients of its room", "side", figures)
