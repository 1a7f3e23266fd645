"""Rates and percentiles, as values."""

from __future__ import annotations

import pytest

from realtime.nodes.readings import percentile, rate, rates, risen

BOUNDS = (1.0, 2.0, 4.0)


def test_rate() -> None:
    """By the second; a count that fell began anew, and no time is no rate."""
    assert rate(10, 30, 4) == 5
    assert rate(30, 10, 4) == 0
    assert rate(0, 10, 0) == 0


def test_rates_of_a_column() -> None:
    """Each by itself; what was not counted before began at 0."""
    assert rates([1, 2], [3, 8], 2) == [1, 3]
    assert rates([], [4, 8], 2) == [2, 4]
    assert rates([1], [], 2) == []


def test_risen() -> None:
    """Only what came since, and no zeros at the end."""
    assert risen([1, 2, 3], [1, 5, 3]) == [0, 3]
    assert risen([], [0, 2, 0, 0]) == [0, 2]
    assert risen([1, 2], [1, 2]) == []


@pytest.mark.parametrize(
    ("counts", "share", "expected"),
    [
        ([], 0.5, None),
        ([0, 0], 0.5, None),
        ([10], 0.5, 0.5),
        ([0, 10], 0.5, 1.5),
        ([0, 0, 10], 0.99, 3.98),
        ([5, 5], 0.5, 1.0),
        ([1, 1, 1, 1], 0.99, 4.0),  # beyond the last bound
        ([0, 0, 0, 7], 0.5, 4.0),
    ],
)
def test_percentile(counts: list[int], share: float, expected: float | None) -> None:
    """Values count as evenly spread within their bucket."""
    found = percentile(counts, BOUNDS, share)
    assert found == (None if expected is None else pytest.approx(expected))
