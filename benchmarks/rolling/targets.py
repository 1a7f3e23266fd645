"""What is to be reached by `rolling`; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.table import Table

from benchmarks.layer.figures import Figure
from benchmarks.layer.tables import figures_table
from benchmarks.rolling.plans import HEALTH_P99, PEAK, STORM
from benchmarks.statistics import Spread
from benchmarks.targets import Target

STORM_LIMIT = 1.5  # seconds for all to be back
HEALTH_LIMIT = 50  # ms, under 10,000 deliveries a second
PEAK_LIMIT = 1.5  # of the even rate: delays are random, so some seconds have more than others


def rolling_targets(figures: Sequence[Figure]) -> list[Target]:
    """Return the targets of `rolling`."""

    def value(measure: str, limit: float, unit: str, **options: bool) -> Target:
        found = [each.value for each in figures if each.measure == measure and each.value]
        measured = Spread.of(found) if found else None
        return Target(measure=measure, limit=limit, unit=unit, measured=measured, **options)

    lost = [float(figure.lost + figure.repeated) for figure in figures]
    return [
        Target(
            measure="publications lost or repeated",
            limit=0,
            unit="",
            measured=Spread.of(lost) if lost else None,
            always=True,
            promise=True,
        ),
        value(PEAK, PEAK_LIMIT, "x", always=True),
        value(STORM, STORM_LIMIT, "s"),
        value(HEALTH_P99, HEALTH_LIMIT, "ms"),
    ]


def rolling_table(figures: Sequence[Figure]) -> Table:
    """Return one line per measure and what was measured beside each other."""

    def titles(measure: str) -> Mapping[str, str]:
        return {figure.layer: figure.layer for figure in figures if figure.measure == measure}

    return figures_table("Rolling restart", "while", figures, titles)
