"""How the connections of a machine are split over its workers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardlayer.balancer.capacity_split import split_capacity


@pytest.mark.parametrize(
    ("total", "limits", "shares"),
    [
        (12_000, [0, 0], [6_000, 6_000]),
        (10, [0, 0, 0], [4, 3, 3]),
        (12_000, [1_000, 0], [1_000, 11_000]),
        (12_000, [0, 1_000, 0], [5_500, 1_000, 5_500]),
        (12_000, [1_000, 2_000], [1_000, 2_000]),
        (12_000, [], []),
        (1, [0, 0], [1, 1]),
        (0, [0, 500], [0, 500]),
    ],
)
def test_shares(total: int, limits: list[int], shares: list[int]) -> None:
    """Equal, as far as the workers' own limits let them be; 0 is no limit."""
    assert split_capacity(total, limits) == shares


@given(st.integers(20, 50_000), st.lists(st.integers(0, 9_000), min_size=1, max_size=20))
def test_nothing_is_lost(total: int, limits: list[int]) -> None:
    """The shares are all there is, or all that the workers can hold, and within their limits."""
    shares = split_capacity(total, limits)
    able = sum(limit or total for limit in limits)
    assert sum(shares) == min(total, able)
    for share, limit in zip(shares, limits, strict=True):
        assert 1 <= share <= (limit or total)
    free = [share for share, limit in zip(shares, limits, strict=True) if share != limit]
    assert not free or max(free) - min(free) <= 1
