"""The table of a run."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from benchmarks.layer.figures import Figure
from benchmarks.layer.tables import figures_table


def history_table(figures: Sequence[Figure]) -> Table:
    """Return one line per measure and what was measured beside each other."""

    return figures_table("History", "beside", figures)
