"""What `balancer` has to reach, from figures."""

from __future__ import annotations

from benchmarks.balancer.plans import ARRIVALS, CPU, DIRECT, FRESH, HAPROXY, LATENCY, OURS, STOCK
from benchmarks.balancer.targets import balancer_targets
from benchmarks.layer.figures import Figure


def figures(cpu: float, fresh: float, latency: float, apart: float, lost: int = 0) -> list[Figure]:
    """Return one round of everything."""
    said = [
        (CPU, OURS, cpu),
        (CPU, HAPROXY, 100.0),
        (FRESH, OURS, fresh),
        (FRESH, STOCK, 100.0),
        (LATENCY, OURS, latency),
        (LATENCY, DIRECT, 1.0),
        (ARRIVALS, OURS, apart),
    ]
    return [
        Figure(measure=measure, layer=layer, round=1, value=value, unit="", calls=1, lost=lost)
        for measure, layer, value in said
    ]


def test_what_is_reached() -> None:
    """Each limit counts by itself."""
    assert [each.reached for each in balancer_targets(figures(99, 300, 2.0, 1))] == [True] * 5
    missed = balancer_targets(figures(101, 299, 2.1, 2, lost=1))
    assert [each.reached for each in missed] == [False] * 5
    assert [each.reached for each in balancer_targets([])] == [None] * 5
