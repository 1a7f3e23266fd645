"""What `admin` has to reach, from figures."""

from __future__ import annotations

import pytest

from benchmarks.admin.plans import FIRST, LONGEST
from benchmarks.admin.targets import admin_targets
from benchmarks.layer.figures import Figure


@pytest.mark.parametrize(
    ("first", "longest", "lost", "reached"),
    [
        (299.0, 4.9, 0, [True, True, True]),
        (301.0, 4.9, 0, [False, True, True]),
        (299.0, 5.1, 0, [True, False, True]),
        (299.0, 4.9, 1, [True, True, False]),
    ],
)
def test_what_is_reached(first: float, longest: float, lost: int, reached: list[bool]) -> None:
    """Each limit counts by itself."""
    figures = [
        Figure(measure=name, layer="ours", round=1, value=value, unit="ms", calls=1, lost=lost)
        for name, value in ((FIRST, first), (LONGEST, longest))
    ]
    assert [each.reached for each in admin_targets(figures)] == reached


def test_log_without_a_call_says_nothing_of_the_longest() -> None:
    """The list can't be made without asking Redis."""
    figures = [
        Figure(measure=name, layer="ours", round=1, value=value, unit="ms", calls=1)
        for name, value in ((FIRST, 299.0), (LONGEST, None))
    ]
    assert [each.reached for each in admin_targets(figures)][:2] == [True, False]
