"""When readings are due."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.feed.schedule import next_tick


@pytest.mark.parametrize(
    ("now", "due"), [(100.0, 100.5), (100.1, 100.5), (100.5, 101.0), (107.2, 107.5)]
)
def test_ticks(now: float, due: float) -> None:
    """The next tick lies on the grid from the start; those that were missed are left out."""
    assert next_tick(100.0, now, 0.5) == due


@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_next_tick_is_soon(start: float, later: float) -> None:
    """It comes within one interval, and not before now but for rounding."""
    now = start + later
    assert now - 1e-6 <= next_tick(start, now, 0.1) <= now + 0.1 + 1e-6
