"""How fast something grows; pure."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import linear_regression
from typing import Final

HOUR: Final = 3600.0  # seconds
_FEWEST: Final = 3  # points that a slope is made of


def slope_an_hour(points: Sequence[tuple[float, float]]) -> float | None:
    """Return by how much y grows in an hour of x, by least squares; None: too few points.

    Args:
        points: (seconds, value), with ascending seconds.
    """
    if len(points) < _FEWEST or points[0][0] == points[-1][0]:
        return None
    return HOUR * linear_regression(*zip(*points, strict=True)).slope
