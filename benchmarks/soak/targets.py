"""What is to be reached; pure."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from benchmarks.layer.figures import Figure
from benchmarks.layer.tables import figures_table
from benchmarks.layer.targets import mishaps_target, value_target
from benchmarks.soak.run import DESCRIPTORS, MEMORY, STORE, WORKER
from benchmarks.targets import Target

LIMIT = 1.0  # MB an hour
FILES = 10.0  # an hour
LONG_ENOUGH = 30.0  # minutes, for a slope to say something


def soak_targets(figures: Sequence[Figure], minutes: float) -> list[Target]:
    """Return the targets of `soak`; a run of less than half an hour has no slopes to judge."""

    def grows(measure: str, what: str, limit: float, unit: str) -> Target:
        judged = figures if minutes >= LONG_ENOUGH else []
        return value_target(judged, measure, limit, unit, layer=what, title=f"{what}: {measure}")

    return [
        grows(MEMORY, WORKER, LIMIT, "MB"),
        grows(DESCRIPTORS, WORKER, FILES, ""),
        grows(MEMORY, STORE, LIMIT, "MB"),
        mishaps_target("messages that those who stayed did not get", figures, "lost"),
    ]


def soak_table(figures: Sequence[Figure]) -> Table:
    """Return one line per figure."""
    return figures_table("Soak", "of", figures)
