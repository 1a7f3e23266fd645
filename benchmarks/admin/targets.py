"""What is to be reached; pure."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from benchmarks.admin.plans import FIRST, LONGEST
from benchmarks.layer.figures import Figure
from benchmarks.layer.tables import figures_table
from benchmarks.layer.targets import value_target
from benchmarks.targets import Target, none_target


def admin_targets(figures: Sequence[Figure]) -> list[Target]:
    """Return the targets of `admin`."""
    lost = [figure.lost for figure in figures]
    return [
        value_target(figures, FIRST, 300, "ms"),
        value_target(figures, LONGEST, 5, "ms"),
        none_target("rooms that were not found", lost),
    ]


def admin_table(figures: Sequence[Figure]) -> Table:
    """Return one line per measure."""

    return figures_table("Admin", "beside", figures)
