"""What is to be reached; pure."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from benchmarks.calm.plans import AT_ONCE, CONFLATED, JOINED, RATES, measure_of
from benchmarks.layer.figures import Figure
from benchmarks.layer.tables import figures_table
from benchmarks.layer.targets import mishaps_target, ratio_target
from benchmarks.targets import Target

LIMITS = {JOINED: 0.5, CONFLATED: 0.5}  # of what each at once costs, at the highest rate


def calm_targets(figures: Sequence[Figure]) -> list[Target]:
    """Return the targets of `calm`."""
    measure = measure_of(max(RATES))
    return [
        *(ratio_target(figures, measure, limit, calm, AT_ONCE) for calm, limit in LIMITS.items()),
        mishaps_target(
            "messages of rooms that are not conflated that a client did not get", figures, "lost"
        ),
    ]


def calm_table(figures: Sequence[Figure]) -> Table:
    """Return one line per rate, and what was measured beside each other."""

    return figures_table("Calm rooms", "beside", figures)
