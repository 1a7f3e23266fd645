"""What is to be reached; pure."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from benchmarks.hostile.plans import ATTACKED, CASES, ERRORS, GROWTH, LEFT_ALONE, P99
from benchmarks.layer.figures import Figure
from benchmarks.layer.tables import figures_table
from benchmarks.layer.targets import mishaps_target, ratio_target, value_target
from benchmarks.targets import Target


def hostile_targets(figures: Sequence[Figure]) -> list[Target]:
    """Return the targets of `hostile`."""
    return [
        ratio_target(
            figures,
            *(P99, 1.2, ATTACKED, LEFT_ALONE),
            title="other clients' p99: attacked / left alone",
        ),
        value_target(figures, GROWTH, 5, "MB", promise=True),
        value_target(figures, ERRORS, 0, "", promise=True),
        mishaps_target("messages that other clients lost", figures, "lost"),
        value_target(figures, CASES, 10_000, "", at_least=True),
    ]


def hostile_table(figures: Sequence[Figure]) -> Table:
    """Return one line per measure."""

    return figures_table("Hostile", "worker", figures)
