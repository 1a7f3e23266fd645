"""What is to be reached; pure."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from benchmarks.layer.figures import Figure
from benchmarks.layer.tables import figures_table
from benchmarks.layer.targets import ratios, value_target
from benchmarks.presence.plans import CONNECT, KILLED, OFF, ON, PAGE, REDIS
from benchmarks.targets import Target, none_target


def presence_targets(figures: Sequence[Figure]) -> list[Target]:
    """Return the targets of `presence`."""

    def ratio(measure: str, limit: float) -> Target:
        measured = ratios(figures, measure, ON, OFF)
        return Target(measure=f"{measure}: on / off", limit=limit, unit="x", measured=measured)

    mishaps = [figure.lost for figure in figures]
    return [
        ratio(CONNECT, 1.3),
        ratio(REDIS, 1.5),
        value_target(figures, PAGE, 50, "ms"),
        value_target(figures, KILLED, 1.0, ""),
        none_target("people or rooms that were not as they should be", mishaps),
    ]


def presence_table(figures: Sequence[Figure]) -> Table:
    """Return one line per measure and what was measured beside each other."""

    return figures_table("Presence", "beside", figures)
