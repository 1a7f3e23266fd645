"""The few statistics that the tables need; pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Several measurements of one thing.

    Attributes:
        median: The middle one (the mean of the middle two of an even number).
        low: The smallest.
        high: The largest.
        count: How many there were.
    """

    median: float
    low: float
    high: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Summarise at least one value."""
        if not values:
            raise ValueError("no values")
        return cls(median=median(values), low=min(values), high=max(values), count=len(values))


def paired_ratios(
    ours: Sequence[float | None], theirs: Sequence[float | None]
) -> list[float | None]:
    """Return `ours[i] / theirs[i]`; None where there is nothing of ours.

    Where there is nothing of theirs there is no ratio: that is no fault of ours.

    A machine's speed drifts, by a factor of two where we measured: only what ran side by side
    is comparable, so a ratio is taken within a round, never between medians.

    Raises:
        ValueError: The two have different lengths, so they are not pairs.
    """
    pairs = [(a, b) for a, b in zip(ours, theirs, strict=True) if not a or b]
    return [a / b if a and b else None for a, b in pairs]


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Return the smallest value that at least `percent` per cent of all are not above.

    That is the nearest-rank definition: the answer is always one of the values.

    Args:
        ordered: The values, ascending; at least one.
        percent: Above 0, at most 100.
    """
    if not ordered:
        raise ValueError("no values")
    if not 0 < percent <= 100:
        raise ValueError(f"{percent} is not a percentage")
    return ordered[math.ceil(len(ordered) * percent / 100) - 1]
