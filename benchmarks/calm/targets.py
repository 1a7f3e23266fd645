"""What is to be reached; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.table import Table

from benchmarks.calm.plans import AT_ONCE, CONFLATED, JOINED, RATES, measure_of
from benchmarks.layer.figures import Figure
from benchmarks.layer.tables import figures_table
from benchmarks.layer.targets import ratios
from benchmarks.statistics import Spread
from benchmarks.targets import Target

LIMITS = {JOINED: 0.5, CONFLATED: 0.5}  # of what each at once costs, at the highest rate


def calm_targets(figures: Sequence[Figure]) -> list[Target]:
    """Return the targets of `calm`."""
    measure = measure_of(max(RATES))
    mishaps = [float(figure.lost) for figure in figures]
    return [
        *(
            Target(
                measure=f"{measure}: {calm} / {AT_ONCE}",
                limit=limit,
                unit="x",
                measured=ratios(figures, measure, calm, AT_ONCE),
            )
            for calm, limit in LIMITS.items()
        ),
        Target(
            measure="messages of rooms that are not conflated that a client did not get",
            limit=0,
            unit="",
            measured=Spread.of(mishaps) if mishaps else None,
            always=True,
            promise=True,
        ),
    ]


def calm_table(figures: Sequence[Figure]) -> Table:
    """Return one line per rate, and what was measured beside each other."""

    def titles(measure: str) -> Mapping[str, str]:
        return {figure.layer: figure.layer for figure in figures if figure.measure == measure}

    return figures_table("Calm rooms", "beside", figures, titles)
