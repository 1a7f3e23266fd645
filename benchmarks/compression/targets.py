"""What is to be reached; pure."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from benchmarks.compression.plans import ALL, NONE, OFF, ONE, bytes_of, cpu_of
from benchmarks.layer.figures import Figure
from benchmarks.layer.tables import figures_table
from benchmarks.layer.targets import mishaps_target, ratio_target
from benchmarks.targets import Target

MEMBERS = 1000


def compression_targets(figures: Sequence[Figure]) -> list[Target]:
    """Return the targets of `compression`."""
    return [
        ratio_target(figures, cpu_of(MEMBERS), 1.2, ALL, OFF),
        ratio_target(figures, bytes_of(MEMBERS), 0.4, ALL, OFF),
        ratio_target(figures, cpu_of(MEMBERS), 1.02, NONE, OFF),
        ratio_target(figures, cpu_of(MEMBERS), 1.05, ONE, NONE),
        mishaps_target("messages that a client did not get", figures, "lost"),
    ]


def compression_table(figures: Sequence[Figure]) -> Table:
    """Return one line per measure and worker."""
    return figures_table("Compression", "the worker's messages", figures)
