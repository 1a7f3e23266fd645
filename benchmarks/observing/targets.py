"""What is to be reached; pure."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from benchmarks.layer.figures import Figure
from benchmarks.layer.tables import figures_table
from benchmarks.layer.targets import ratios
from benchmarks.observing.plans import ANSWER, BURSTS, CONNECT, DELIVER, OFF, ON, SECOND
from benchmarks.statistics import Spread
from benchmarks.targets import Target

LIMITS = {DELIVER: 1.02, BURSTS: 1.02, CONNECT: 1.03}  # on / off
MOST_BY_SCRAPE = 50.0  # ms
MOST_BY_SECOND = 5.0  # ms of CPU a second, on less off: 1 % of a worker that is half busy


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
    ] + [
        Target(
            measure=f"{SECOND}: on less off",
            limit=MOST_BY_SECOND,
            unit="ms",
            measured=_more(figures),
        ),
        Target(
            measure=ANSWER,
            limit=MOST_BY_SCRAPE,
            unit="ms",
            measured=_times(figures),
        ),
    ]


def _more(figures: Sequence[Figure]) -> Spread | None:
    """Return by how much more a side is than the other that ran in the same pair of turns."""
    found = {(each.layer, each.round): each.value for each in figures if each.measure == SECOND}
    more = [
        value - off
        for (layer, pair), value in found.items()
        if layer == ON and value is not None and (off := found.get((OFF, pair))) is not None
    ]
    return Spread.of(more) if more else None


def _times(figures: Sequence[Figure]) -> Spread | None:
    times = [each.value for each in figures if each.measure == ANSWER and each.value is not None]
    return Spread.of(times) if times else None


def observing_table(figures: Sequence[Figure]) -> Table:
    """Return one line per measure, on and off beside each other."""

    return figures_table("Observing", "beside", figures)
