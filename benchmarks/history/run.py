"""Runs the measures that were asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.history.calls import Publish, RedisCpu
from benchmarks.history.kafka import KafkaToRooms
from benchmarks.history.outage import Outage
from benchmarks.history.slow import Slow
from benchmarks.history.slow_node import SlowNode
from benchmarks.layer.figures import Figure
from benchmarks.machine import Placement
from benchmarks.plans import sized

Plan = Publish | RedisCpu | KafkaToRooms | Outage | Slow | SlowNode

PLANS: Mapping[str, Callable[[], Plan]] = {
    "publish": Publish,
    "redis": RedisCpu,
    "kafka": KafkaToRooms,
    "outage": Outage,
    "slow": Slow,
    "slow-node": SlowNode,
}
"""What can be asked for."""


def run_history(
    names: Sequence[str], folder: Path, *, rounds: int | None, quick: bool
) -> Iterator[Figure]:
    """Yield the figures of all rounds of all measures.

    Args:
        names: Of PLANS.
        folder: For logs.
        rounds: None for each measure's own.
        quick: Whether it is only a look whether all works.
    """
    placement = Placement.of_machine()
    for name in names:
        plan = sized(PLANS[name](), rounds=rounds, quick=quick)
        yield from plan.run(folder) if isinstance(plan, Outage) else plan.run(placement, folder)
