"""What `outbox` has to reach, from figures."""

from __future__ import annotations

import pytest

from benchmarks.layer.figures import Figure
from benchmarks.outbox.plans import P50, P95, POSTGRESQL
from benchmarks.outbox.targets import outbox_targets


@pytest.mark.parametrize(
    ("p50", "lost", "repeated", "expected"),
    [
        (10.0, 0, 0, [True, True]),
        (10.1, 0, 0, [False, True]),
        (5.0, 1, 0, [True, False]),
        (5.0, 0, 1, [True, False]),
    ],
)
def test_what_is_reached(p50: float, lost: int, repeated: int, expected: list[bool]) -> None:
    """The median counts, and nothing may be missing or come twice."""
    figures = [
        Figure(
            measure=measure,
            layer=POSTGRESQL,
            round=1,
            value=value,
            unit="ms",
            calls=500,
            lost=lost,
            repeated=repeated,
        )
        for measure, value in ((P50, p50), (P95, 100.0))
    ]
    assert [each.reached for each in outbox_targets(figures)] == expected
