"""What is to be reached; pure."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from benchmarks.balancer.plans import (
    ARRIVALS,
    CPU,
    DIRECT,
    FRESH,
    HAPROXY,
    LATENCY,
    OURS,
    STOCK,
)
from benchmarks.layer.figures import Figure
from benchmarks.layer.tables import figures_table
from benchmarks.layer.targets import mishaps_target, ratio_target
from benchmarks.statistics import Spread
from benchmarks.targets import Target


def balancer_targets(figures: Sequence[Figure]) -> list[Target]:
    """Return the targets of `balancer`."""

    def of(measure: str, layer: str) -> list[float]:
        return [
            each.value
            for each in figures
            if (each.measure, each.layer) == (measure, layer) and each.value is not None
        ]

    added = [a - b for a, b in zip(of(LATENCY, OURS), of(LATENCY, DIRECT), strict=True)]
    differences = of(ARRIVALS, OURS)
    return [
        ratio_target(figures, CPU, 1.0, OURS, HAPROXY),
        ratio_target(
            figures,
            *(FRESH, 3.0, OURS, STOCK),
            title=f"{FRESH}/s: {OURS} and 2 workers / one {STOCK}",
            at_least=True,
        ),
        Target(
            measure="what the balancer adds to a connect, p50",
            limit=1.0,
            unit="ms",
            measured=Spread.of(added) if added else None,
        ),
        Target(
            measure=ARRIVALS,
            limit=1,
            unit="",
            measured=Spread.of(differences) if differences else None,
            always=True,
            promise=True,
        ),
        mishaps_target("connections that failed, and broadcasts that were lost", figures, "lost"),
    ]


def balancer_table(figures: Sequence[Figure]) -> Table:
    """Return one line per measure and what was measured beside each other."""

    return figures_table("Balancer", "through", figures)
