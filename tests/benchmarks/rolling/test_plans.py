"""What `rolling` makes of the times at which clients came back."""

from __future__ import annotations

import pytest

from benchmarks.rolling.plans import peak


@pytest.mark.parametrize(
    ("times", "most"),
    [
        ([], 0),
        ([5.0], 1),
        ([0.0, 2.0, 4.0], 1),
        ([0.0, 0.5, 1.0, 1.1], 3),
        ([0.0, 0.9, 1.8, 1.9, 2.0, 2.7], 4),
    ],
)
def test_peak(times: list[float], most: int) -> None:
    """The most that lie within any one second."""
    assert peak(times, 1.0) == most
