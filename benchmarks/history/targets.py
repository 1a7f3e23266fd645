"""What is to be reached; pure."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.history.calls import PUBLISH, REDIS
from benchmarks.history.kafka import BATCH, CPU, POOL, RATE
from benchmarks.history.outage import OTHERS, RUNNING, STOPPED
from benchmarks.history.slow import READERS, READING, STALLED
from benchmarks.history.slow_node import FLOOD
from benchmarks.layer.figures import Figure
from benchmarks.layer.targets import mishaps_target, ratio_target, value_target
from benchmarks.targets import Target


def history_targets(figures: Sequence[Figure]) -> list[Target]:
    """Return the targets of `history`."""

    def ratio(
        measure: str, ours: str, theirs: str, limit: float, *, at_least: bool = False
    ) -> Target:
        return ratio_target(figures, measure, limit, ours, theirs, at_least=at_least)

    return [
        ratio(PUBLISH, "ours", "pubsub", 10, at_least=True),
        ratio(REDIS, "ours", "PUBLISH", 8),
        ratio(RATE, POOL, BATCH, 3, at_least=True),
        value_target(figures, CPU, 25, "µs", layer=POOL, title=f"{CPU}: {POOL}"),
        ratio(OTHERS, STOPPED, RUNNING, 1.1),
        ratio(READERS, STALLED, READING, 1.3),
        value_target(
            figures,
            *(FLOOD, 100_000, ""),
            layer="ours",
            title=f"{FLOOD}: publications/s",
            at_least=True,
        ),
        mishaps_target("messages lost or repeated", figures, "lost", "repeated", promise=False),
    ]
