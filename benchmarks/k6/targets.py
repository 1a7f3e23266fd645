"""What is to be reached; pure."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from benchmarks.k6.plans import LIMIT, P95, RARE
from benchmarks.layer.figures import Figure
from benchmarks.layer.tables import figures_table
from benchmarks.layer.targets import values_of
from benchmarks.targets import Target, none_target


def k6_targets(figures: Sequence[Figure]) -> list[Target]:
    """Return the targets of `k6`. With Go's own setting k6 itself lacks CPU: that p95 is none."""
    runs = [figure for figure in figures if figure.measure == P95]  # all of a run say the same
    lost = [figure.lost for figure in runs]
    repeated = [figure.repeated for figure in runs]
    failed = [sum(figure.failed.values()) for figure in runs]
    return [
        Target(
            measure=f"{P95}, {RARE}",
            limit=LIMIT,
            unit="ms",
            measured=values_of(figures, P95, RARE),
        ),
        none_target("deliveries that were lost", lost),
        none_target("deliveries that came twice", repeated),
        none_target("connections that broke, publications that were refused", failed),
    ]


def k6_table(figures: Sequence[Figure]) -> Table:
    """Return one line per measure and setting of Go's collector; `calls` are deliveries."""
    return figures_table("Headline with k6", "k6 has", figures)
