"""What is to be reached; pure."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from benchmarks.layer.figures import Figure
from benchmarks.layer.tables import figures_table
from benchmarks.layer.targets import mishaps_target, ratio_target, value_target
from benchmarks.observing.plans import ANSWER, BURSTS, CONNECT, DELIVER, OFF, ON, SECOND
from benchmarks.targets import Target

LIMITS = {DELIVER: 1.02, BURSTS: 1.02, CONNECT: 1.03}  # on / off
MOST_BY_SCRAPE = 50.0  # ms
MOST_BY_SECOND = 5.0  # ms of CPU a second, on less off: 1 % of a worker that is half busy


def observing_targets(figures: Sequence[Figure]) -> list[Target]:
    """Return the targets of `observing`."""
    return [
        *(
            ratio_target(figures, measure, limit, ON, OFF, title=f"{measure}: on / off")
            for measure, limit in LIMITS.items()
        ),
        Target.of(f"{SECOND}: on less off", MOST_BY_SECOND, "ms", _more(figures)),
        value_target(figures, ANSWER, MOST_BY_SCRAPE, "ms"),
        mishaps_target("deliveries lost, workers that an answer lacks", figures, "lost"),
    ]


def _more(figures: Sequence[Figure]) -> list[float]:
    """Return by how much more a side is than the other that ran in the same pair of turns."""
    found = {(each.layer, each.round): each.value for each in figures if each.measure == SECOND}
    return [
        value - off
        for (layer, pair), value in found.items()
        if layer == ON and value is not None and (off := found.get((OFF, pair))) is not None
    ]


def observing_table(figures: Sequence[Figure]) -> Table:
    """Return one line per measure, on and off beside each other."""

    return figures_table("Observing", "beside", figures)
