"""What is to be reached by `rolling`; pure."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from benchmarks.layer.figures import Figure
from benchmarks.layer.tables import figures_table
from benchmarks.layer.targets import mishaps_target, value_target
from benchmarks.rolling.plans import HEALTH_P99, PEAK, STORM
from benchmarks.targets import Target

STORM_LIMIT = 1.5  # seconds for all to be back
HEALTH_LIMIT = 50  # ms, under 10,000 deliveries a second
PEAK_LIMIT = 1.5  # of the even rate: delays are random, so some seconds have more than others


def rolling_targets(figures: Sequence[Figure]) -> list[Target]:
    """Return the targets of `rolling`."""
    return [
        mishaps_target("publications lost or repeated", figures, "lost", "repeated"),
        value_target(figures, PEAK, PEAK_LIMIT, "x", always=True),
        value_target(figures, STORM, STORM_LIMIT, "s"),
        value_target(figures, HEALTH_P99, HEALTH_LIMIT, "ms"),
    ]


def rolling_table(figures: Sequence[Figure]) -> Table:
    """Return one line per measure and what was measured beside each other."""

    return figures_table("Rolling restart", "while", figures)
