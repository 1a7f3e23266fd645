from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.statistics import Spread, paired_ratios, percentile


def test_spread_of_an_even_number_has_the_mean_of_the_middle_two() -> None:
    """The median of four is between the second and the third."""
    assert Spread.of([4.0, 1.0, 2.0, 10.0]) == Spread(median=3.0, low=1.0, high=10.0, count=4)


def test_spread_of_nothing_is_refused() -> None:
    """A figure without a measurement is an error, not a zero."""
    with pytest.raises(ValueError, match="no values"):
        Spread.of([])


def test_ratios_are_taken_within_a_round() -> None:
    """A machine that is half as fast in the second round doesn't show in the ratios."""
    assert paired_ratios([2.0, 4.0], [1.0, 2.0]) == [2.0, 2.0]


def test_what_has_no_partner_is_refused() -> None:
    """Rounds that only one side ran are not silently left out."""
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        paired_ratios([1.0, 2.0], [1.0])


@pytest.mark.parametrize(
    ("percent", "value"), [(1, 15.0), (30, 20.0), (40, 20.0), (50, 35.0), (100, 50.0)]
)
def test_percentile_is_the_nearest_rank(percent: float, value: float) -> None:
    """The example of https://en.wikipedia.org/wiki/Percentile#The_nearest-rank_method holds."""
    assert percentile([15.0, 20.0, 35.0, 40.0, 50.0], percent) == value


@given(st.lists(st.integers(), min_size=1), st.floats(0, 100, exclude_min=True))
def test_enough_values_are_not_above_a_percentile(values: list[int], percent: float) -> None:
    """At least `percent` per cent of the values are the percentile or less."""
    ordered = sorted(values)
    found = percentile(ordered, percent)
    assert sum(value <= found for value in ordered) >= len(ordered) * percent / 100
    assert found in values


@pytest.mark.parametrize("percent", [0, -1, 100.1])
def test_a_percentile_outside_its_range_is_refused(percent: float) -> None:
    """There is no zeroth percentile in this definition."""
    with pytest.raises(ValueError, match="not a percentage"):
        percentile([1.0], percent)
