"""What is to be reached; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.table import Table

from benchmarks.layer.figures import Figure
from benchmarks.layer.tables import figures_table
from benchmarks.layer.targets import ratios
from benchmarks.observing.plans import BURSTS, CONNECT, DELIVER, OFF, ON
from benchmarks.targets import Target

LIMITS = {DELIVER: 1.02, BURSTS: 1.02, CONNECT: 1.03}  # on / off


def observing_targets(figures: Sequence[Figure]) -> list[Target]:
    """Return the targets of `observing`."""
    return [
        Target(
            measure=f"{measure}: on / off",
            limit=limit,
            unit="x",
            measured=ratios(figures, measure, ON, OFF),
        )
        for measure, limit in LIMITS.items()
    ]


def observing_table(figures: Sequence[Figure]) -> Table:
    """Return one line per measure, on and off beside each other."""

    def titles(measure: str) -> Mapping[str, str]:
        return {figure.layer: figure.layer for figure in figures if figure.measure == measure}

    return figures_table("Observing", "beside", figures, titles)
