"""What `scale` has to reach, from figures."""

from __future__ import annotations

import pytest

from benchmarks.layer.figures import Figure
from benchmarks.scale.plans import (
    JOINS_PER_WRITE,
    LONGEST_TURN,
    ONE_ROOM,
    OWN_ROOMS,
    PER_DELIVERY,
    REDIS_PER_PUBLICATION,
    RESUMING,
    with_nodes,
    with_servers,
)
from benchmarks.scale.targets import scale_targets


def figures(growth: float, turn: float, joins: float, lost: int = 0) -> list[Figure]:
    """Return those of one round, of which the large deployments cost so many times the small."""
    found = {
        (PER_DELIVERY, with_nodes(1, ONE_ROOM)): 10.0,
        (PER_DELIVERY, with_nodes(8, ONE_ROOM)): 10.0 * growth,
        (PER_DELIVERY, with_nodes(1, OWN_ROOMS)): 20.0,
        (PER_DELIVERY, with_nodes(8, OWN_ROOMS)): 20.0 * growth,
        (PER_DELIVERY, with_servers(1)): 30.0,
        (PER_DELIVERY, with_servers(4)): 30.0 * growth,
        (REDIS_PER_PUBLICATION, with_servers(1)): 40.0,
        (REDIS_PER_PUBLICATION, with_servers(4)): 40.0 * growth,
        (LONGEST_TURN, RESUMING): turn,
        (JOINS_PER_WRITE, RESUMING): joins,
    }
    return [
        Figure(measure=measure, layer=name, round=1, value=value, unit="", calls=1, lost=lost)
        for (measure, name), value in found.items()
    ]


@pytest.mark.parametrize(
    ("given", "reached"),
    [
        (figures(1.05, 19, 30), [True] * 7),
        (figures(1.15, 19, 30), [False] * 4 + [True] * 3),
        (figures(1.05, 21, 30), [True] * 4 + [False, True, True]),
        (figures(1.05, 19, 1), [True] * 5 + [False, True]),
        (figures(1.05, 19, 30, lost=1), [True] * 6 + [False]),
        ([], [None] * 6 + [None]),
    ],
)
def test_targets(given: list[Figure], reached: list[bool | None]) -> None:
    """Each says by itself whether it was reached."""
    assert [target.reached for target in scale_targets(given)] == reached
