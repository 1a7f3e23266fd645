"""What is to be reached; pure."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from benchmarks.k6.plans import LIMIT, P95, RARE
from benchmarks.layer.figures import Figure
from benchmarks.layer.tables import figures_table
from benchmarks.layer.targets import mishaps_target, value_target
from benchmarks.targets import Target


def k6_targets(figures: Sequence[Figure]) -> list[Target]:
    """Return the targets of `k6`. With Go's own setting k6 itself lacks CPU: that p95 is none."""
    runs = [figure for figure in figures if figure.measure == P95]  # all of a run say the same
    return [
        value_target(figures, P95, LIMIT, "ms", layer=RARE, title=f"{P95}, {RARE}"),
        mishaps_target("deliveries that were lost", runs, "lost"),
        mishaps_target("deliveries that came twice", runs, "repeated"),
        mishaps_target("connections that broke, publications that were refused", runs, "failed"),
    ]


def k6_table(figures: Sequence[Figure]) -> Table:
    """Return one line per measure and setting of Go's collector; `calls` are deliveries."""
    return figures_table("Headline with k6", "k6 has", figures)
