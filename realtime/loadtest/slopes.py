"""How fast something grows; pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

HOUR: Final = 3600.0  # seconds
_FEWEST: Final = 3  # points that a slope is made of


def slope_an_hour(points: Sequence[tuple[float, float]]) -> float | None:
    """Return by how much y grows in an hour of x, by least squares; None: too few points.

    Args:
        points: (seconds, value).
    """
    count = len(points)
    if count < _FEWEST:
        return None
    mean_x = sum(x for x, _ in points) / count
    mean_y = sum(y for _, y in points) / count
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    if not spread:
        return None
    return HOUR * sum((x - mean_x) * (y - mean_y) for x, y in points) / spread
