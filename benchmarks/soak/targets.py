"""What is to be reached; pure."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from benchmarks.layer.figures import Figure
from benchmarks.layer.tables import figures_table
from benchmarks.layer.targets import values_of
from benchmarks.soak.run import DESCRIPTORS, MEMORY, STORE, WORKER
from benchmarks.targets import Target, none_target

LIMIT = 1.0  # MB an hour
FILES = 10.0  # an hour
LONG_ENOUGH = 30.0  # minutes, for a slope to say something


def soak_targets(figures: Sequence[Figure], minutes: float) -> list[Target]:
    """Return the targets of `soak`; a run of less than half an hour has no slopes to judge."""

    def grows(measure: str, what: str, limit: float, unit: str) -> Target:
        return Target(
            measure=f"{what}: {measure}",
            limit=limit,
            unit=unit,
            measured=values_of(figures, measure, what) if minutes >= LONG_ENOUGH else None,
        )

    return [
        grows(MEMORY, WORKER, LIMIT, "MB"),
        grows(DESCRIPTORS, WORKER, FILES, ""),
        grows(MEMORY, STORE, LIMIT, "MB"),
        none_target("messages that those who stayed did not get", [each.lost for each in figures]),
    ]


def soak_table(figures: Sequence[Figure]) -> Table:
    """Return one line per figure."""
    return figures_table("Soak", "of", figures)
