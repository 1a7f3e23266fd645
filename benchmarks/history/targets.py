"""What is to be reached; pure."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.history.calls import PUBLISH, REDIS
from benchmarks.history.kafka import BATCH, CPU, POOL, RATE
from benchmarks.history.outage import OTHERS, RUNNING, STOPPED
from benchmarks.history.slow import READERS, READING, STALLED
from benchmarks.history.slow_node import FLOOD
from benchmarks.layer.figures import Figure
from benchmarks.layer.targets import ratio_target, values_of
from benchmarks.targets import Target, none_target


def history_targets(figures: Sequence[Figure]) -> list[Target]:
    """Return the targets of `history`."""

    def ratio(
        measure: str, ours: str, theirs: str, limit: float, *, at_least: bool = False
    ) -> Target:
        return ratio_target(figures, measure, limit, ours, theirs, at_least=at_least)

    mishaps = [figure.lost + figure.repeated for figure in figures]
    return [
        ratio(PUBLISH, "ours", "pubsub", 10, at_least=True),
        ratio(REDIS, "ours", "PUBLISH", 8),
        ratio(RATE, POOL, BATCH, 3, at_least=True),
        Target(
            measure=f"{CPU}: {POOL}",
            limit=25,
            unit="µs",
            measured=values_of(figures, CPU, POOL),
        ),
        ratio(OTHERS, STOPPED, RUNNING, 1.1),
        ratio(READERS, STALLED, READING, 1.3),
        Target(
            measure=f"{FLOOD}: publications/s",
            limit=100_000,
            unit="",
            measured=values_of(figures, FLOOD, "ours"),
            at_least=True,
        ),
        none_target("messages lost or repeated", mishaps, promise=False),
    ]
