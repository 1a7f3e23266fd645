"""What is to be reached; pure."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from benchmarks.admin.plans import FIRST, LONGEST
from benchmarks.layer.figures import Figure
from benchmarks.layer.tables import figures_table
from benchmarks.layer.targets import mishaps_target, value_target
from benchmarks.targets import Target


def admin_targets(figures: Sequence[Figure]) -> list[Target]:
    """Return the targets of `admin`."""
    return [
        value_target(figures, FIRST, 300, "ms"),
        value_target(figures, LONGEST, 5, "ms"),
        mishaps_target("rooms that were not found", figures, "lost"),
    ]


def admin_table(figures: Sequence[Figure]) -> Table:
    """Return one line per measure."""

    return figures_table("Admin", "beside", figures)
