"""Percentiles out of buckets."""

from __future__ import annotations

import math
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.loadtest.delay_histogram import DelayHistogram

delays = st.lists(st.integers(0, 10**13), min_size=1, max_size=50)


@given(delays, st.sampled_from([1, 50, 95, 99, 100]))
def test_percentile_is_near_the_exact_one(values: list[int], percent: float) -> None:
    """Never below it, and above it by a thirtieth or a microsecond at most."""
    histogram = DelayHistogram()
    histogram.take(array("q", values))
    exact = sorted(values)[math.ceil(len(values) * percent / 100) - 1] / 1e9
    found = histogram.percentile(percent)
    assert found is not None
    assert exact * 0.999999 <= found <= exact * (1 + 1 / 30) + 1.1e-6


@given(delays, delays)
def test_sum_is_that_of_all(first: list[int], second: list[int]) -> None:
    """Added up, or taken at once, and as JSON: the same."""
    one, two, both = DelayHistogram(), DelayHistogram(), DelayHistogram()
    one.take(array("q", first))
    two.take(array("q", second))
    both.take(array("q", first + second))
    one.add(DelayHistogram.from_json(two.as_json()))
    assert one.as_json() == both.as_json()
    assert one.total == both.total == len(first) + len(second)


def test_nothing_has_no_percentile() -> None:
    """No delay is not a delay of 0."""
    assert DelayHistogram().percentile(99) is None


def test_clocks_that_differ_count_as_no_delay() -> None:
    """A delay below 0 is one of 0."""
    histogram = DelayHistogram()
    histogram.take(array("q", [-5_000]))
    assert histogram.percentile(50) == pytest.approx(0, abs=1e-6)
    assert histogram.total == 1
