"""What is to be reached; pure."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from benchmarks.layer.figures import Figure
from benchmarks.layer.tables import figures_table
from benchmarks.layer.targets import mishaps_target, value_target
from benchmarks.outbox.plans import P50
from benchmarks.targets import Target

LIMIT = 10.0  # milliseconds


def outbox_targets(figures: Sequence[Figure]) -> list[Target]:
    """Return the targets of `outbox`."""
    return [
        value_target(figures, P50, LIMIT, "ms"),
        mishaps_target("publications that were lost or came twice", figures, "lost", "repeated"),
    ]


def outbox_table(figures: Sequence[Figure]) -> Table:
    """Return one line per measure."""
    return figures_table("Outbox", "database", figures)
