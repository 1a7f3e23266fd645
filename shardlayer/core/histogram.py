"""Counting how large measured values are, at the cost of one search a value."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable


class Histogram:
    """Counts values by size. Written by one thread; read from any.

    Args:
        bounds: The upper bounds of the buckets, ascending; a value at a bound is below it. What is
            larger than the last one has a bucket of its own.

    Attributes:
        bounds: These.
        counts: How many values each bucket has: one more than there are bounds.
        sum: Of all values.
    """

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Iterable[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def add(self, other: Histogram) -> None:
        """Count all that another one of the same bounds has counted.

        Raises:
            ValueError: Its bounds are others.
        """
        if other.bounds != self.bounds:
            raise ValueError("Histograms of different bounds can't be added.")
        self.counts = [
            mine + theirs for mine, theirs in zip(self.counts, other.counts, strict=True)
        ]
        self.sum += other.sum


def doubling(first: float, count: int) -> tuple[float, ...]:
    """Return `count` bounds from `first` on, each twice the one before."""
    return tuple(first * 2**number for number in range(count))
