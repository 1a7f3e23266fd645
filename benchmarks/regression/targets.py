"""What is still as good as it was; pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.table import Table

from benchmarks.layer.figures import Figure
from benchmarks.layer.tables import figures_table
from benchmarks.layer.targets import mishaps_target, value_target
from benchmarks.peers.ours.peer import OURS
from benchmarks.targets import Target

TOLERANCE = 1.25  # of what is recorded
RECORDED = Path(__file__).with_name("recorded.json")


def recorded() -> Mapping[str, float]:
    """Return the usual ratio of each measure. Who makes it smaller writes the new one there."""
    found: dict[str, float] = json.loads(RECORDED.read_text())
    return found


def regression_targets(figures: Sequence[Figure]) -> list[Target]:
    """Return one target for each measure that is recorded, and that of what must arrive."""
    return [
        *(
            value_target(
                figures,
                *(measure, usual * TOLERANCE, "x"),
                layer=OURS.name,
                title=f"{measure}, recorded {usual:g}",
            )
            for measure, usual in recorded().items()
        ),
        mishaps_target("ours: messages lost or repeated", figures, "lost", "repeated"),
    ]


def regression_table(figures: Sequence[Figure]) -> Table:
    """Return one line per measure."""
    return figures_table("Regression", "of", figures)
