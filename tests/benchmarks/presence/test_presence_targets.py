"""What `presence` has to reach, from figures."""

from __future__ import annotations

from benchmarks.layer.figures import Figure
from benchmarks.presence.plans import CONNECT, KILLED, NODES, OFF, ON, PAGE, REDIS
from benchmarks.presence.targets import presence_targets


def figures(on: float, page: float, killed: float, lost: int = 0) -> list[Figure]:
    """Return one round of everything."""
    said = [
        (CONNECT, OFF, 100.0),
        (CONNECT, ON, on),
        (REDIS, OFF, 100.0),
        (REDIS, ON, on),
        (PAGE, NODES, page),
        (KILLED, NODES, killed),
    ]
    return [
        Figure(measure=measure, layer=layer, round=1, value=value, unit="", calls=1, lost=lost)
        for measure, layer, value in said
    ]


def test_what_is_reached() -> None:
    """Each limit counts by itself."""
    assert [each.reached for each in presence_targets(figures(130, 50, 1.0))] == [True] * 5
    missed = [each.reached for each in presence_targets(figures(140, 51, 1.1, lost=1))]
    assert missed == [False, True, False, False, False]
    assert [each.reached for each in presence_targets([])] == [None] * 5
