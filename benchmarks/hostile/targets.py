"""What is to be reached; pure."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from benchmarks.hostile.plans import ATTACKED, CASES, ERRORS, GROWTH, LEFT_ALONE, P99
from benchmarks.layer.figures import Figure
from benchmarks.layer.tables import figures_table
from benchmarks.layer.targets import ratios
from benchmarks.statistics import Spread
from benchmarks.targets import Target, none_target


def hostile_targets(figures: Sequence[Figure]) -> list[Target]:
    """Return the targets of `hostile`."""

    def value(measure: str) -> Spread | None:
        found = [each.value for each in figures if each.measure == measure]
        return Spread.of([float(each) for each in found if each is not None]) if found else None

    lost = [figure.lost for figure in figures]
    return [
        Target(
            measure="other clients' p99: attacked / left alone",
            limit=1.2,
            unit="x",
            measured=ratios(figures, P99, ATTACKED, LEFT_ALONE),
        ),
        Target(measure=GROWTH, limit=5, unit="MB", measured=value(GROWTH), promise=True),
        Target(measure=ERRORS, limit=0, unit="", measured=value(ERRORS), promise=True),
        none_target("messages that other clients lost", lost),
        Target(measure=CASES, limit=10_000, unit="", measured=value(CASES), at_least=True),
    ]


def hostile_table(figures: Sequence[Figure]) -> Table:
    """Return one line per measure."""

    return figures_table("Hostile", "worker", figures)
