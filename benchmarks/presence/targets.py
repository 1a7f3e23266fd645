"""What is to be reached; pure."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from benchmarks.layer.figures import Figure
from benchmarks.layer.tables import figures_table
from benchmarks.layer.targets import mishaps_target, ratio_target, value_target
from benchmarks.presence.plans import CONNECT, KILLED, OFF, ON, PAGE, REDIS
from benchmarks.targets import Target


def presence_targets(figures: Sequence[Figure]) -> list[Target]:
    """Return the targets of `presence`."""

    def ratio(measure: str, limit: float) -> Target:
        return ratio_target(figures, measure, limit, ON, OFF, title=f"{measure}: on / off")

    return [
        ratio(CONNECT, 1.3),
        ratio(REDIS, 1.5),
        value_target(figures, PAGE, 50, "ms"),
        value_target(figures, KILLED, 1.0, ""),
        mishaps_target("people or rooms that were not as they should be", figures, "lost"),
    ]


def presence_table(figures: Sequence[Figure]) -> Table:
    """Return one line per measure and what was measured beside each other."""

    return figures_table("Presence", "beside", figures)
