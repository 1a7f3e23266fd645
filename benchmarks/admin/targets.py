"""What is to be reached; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.table import Table

from benchmarks.admin.plans import FIRST, LONGEST
from benchmarks.layer.figures import Figure
from benchmarks.layer.tables import figures_table
from benchmarks.layer.targets import value_target
from benchmarks.statistics import Spread
from benchmarks.targets import Target


def admin_targets(figures: Sequence[Figure]) -> list[Target]:
    """Return the targets of `admin`."""
    lost = [float(figure.lost) for figure in figures]
    return [
        value_target(figures, FIRST, 300, "ms"),
        value_target(figures, LONGEST, 5, "ms"),
        Target(
            measure="rooms that were not found",
            limit=0,
            unit="",
            measured=Spread.of(lost) if lost else None,
            always=True,
            promise=True,
        ),
    ]


def admin_table(figures: Sequence[Figure]) -> Table:
    """Return one line per measure."""

    def titles(measure: str) -> Mapping[str, str]:
        return {figure.layer: figure.layer for figure in figures if figure.measure == measure}

    return figures_table("Admin", "beside", figures, titles)
