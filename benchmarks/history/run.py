"""Runs the measures that were asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.history.calls import Publish, RedisCpu
from benchmarks.history.kafka import KafkaToRooms
from benchmarks.history.outage import Outage
from benchmarks.history.slow import Slow
from benchmarks.history.slow_node import SlowNode
from benchmarks.layer.figures import Figure
from benchmarks.machine import Placement

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
        plan = PLANS[name]()
        if quick:
            plan = plan.quick()
        if rounds is not None:
            plan = replace(plan, rounds=rounds)
        yield from plan.run(folder) if isinstance(plan, Outage) else plan.run(placement, folder)
