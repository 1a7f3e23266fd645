"""What is to be reached; pure."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from benchmarks.layer.figures import Figure
from benchmarks.layer.tables import figures_table
from benchmarks.layer.targets import mishaps_target, ratio_target, value_target
from benchmarks.scale.plans import (
    JOINS_PER_WRITE,
    LONGEST_TURN,
    ONE_ROOM,
    OWN_ROOMS,
    PER_DELIVERY,
    REDIS_PER_PUBLICATION,
    with_nodes,
    with_servers,
)
from benchmarks.targets import Target

FLAT = 1.1  # times the cost of the smallest deployment
LONGEST = 20  # ms
FEWEST_JOINS = 10  # in a write, on average


def scale_targets(figures: Sequence[Figure]) -> list[Target]:
    """Return the targets of `scale`."""

    def flat(measure: str, large: str, small: str) -> Target:
        return ratio_target(figures, measure, FLAT, large, small)

    return [
        flat(PER_DELIVERY, with_nodes(8, ONE_ROOM), with_nodes(1, ONE_ROOM)),
        flat(PER_DELIVERY, with_nodes(8, OWN_ROOMS), with_nodes(1, OWN_ROOMS)),
        flat(PER_DELIVERY, with_servers(4), with_servers(1)),
        flat(REDIS_PER_PUBLICATION, with_servers(4), with_servers(1)),
        value_target(figures, LONGEST_TURN, LONGEST, "ms", always=True),
        value_target(figures, JOINS_PER_WRITE, FEWEST_JOINS, "joins", at_least=True),
        mishaps_target("messages lost or repeated", figures, "lost", "repeated"),
    ]


def scale_table(figures: Sequence[Figure]) -> Table:
    """Return one line per measure and deployment."""
    return figures_table("Scale", "with", figures)
