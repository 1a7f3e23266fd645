"""Delays of millions of deliveries in few numbers, which processes can send and add up.

A delay falls into one of 32 equal parts of the power of two that it lies in, so each is known to
3 %. Below 64 microseconds each microsecond is a bucket of its own.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections.abc import Mapping

_PARTS = 32
_POWERS = 30  # up to 32 microseconds * 2**30, which is ten hours


def _edges() -> list[int]:
    """Return where each bucket ends, ascending, in nanoseconds (exclusive)."""
    edges = list(range(1, 2 * _PARTS + 1))
    for power in range(1, _POWERS):
        edges.extend((_PARTS + part + 1) << power for part in range(_PARTS))
    return [edge * 1_000 for edge in edges]


_EDGES = _edges()


class DelayHistogram:
    """How many delays fell into each bucket.

    Attributes:
        total: How many there are.
        largest: The largest one, exactly, in seconds.
    """

    __slots__ = ("_counts", "largest", "total")

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self.total = 0
        self.largest = 0.0

    def take(self, delays: array[int]) -> None:
        """Add delays in nanoseconds; those below 0 count as 0."""
        if not delays:
            return
        ordered = sorted(delays)
        counts, at, end = self._counts, 0, len(ordered)
        bucket = 0
        while at < end:
            bucket = bisect_left(_EDGES, ordered[at] + 1, bucket, len(_EDGES) - 1)
            last = bucket == len(_EDGES) - 1
            until = end if last else bisect_left(ordered, _EDGES[bucket], at)
            counts[bucket] = counts.get(bucket, 0) + until - at
            at = until
        self.total += end
        self.largest = max(self.largest, ordered[-1] / 1e9)

    def add(self, other: DelayHistogram) -> None:
        """Add the delays of another one."""
        for bucket, count in other._counts.items():
            self._counts[bucket] = self._counts.get(bucket, 0) + count
        self.total += other.total
        self.largest = max(self.largest, other.largest)

    def percentile(self, percent: float) -> float | None:
        """Return the end of the bucket with the delay of this rank, in seconds; None: no delay.

        Args:
            percent: Above 0, at most 100.
        """
        if not self.total:
            return None
        rank = math.ceil(self.total * percent / 100)
        seen = 0
        for bucket in sorted(self._counts):
            seen += self._counts[bucket]
            if seen >= rank:
                return min(_EDGES[bucket] / 1e9, self.largest)
        raise ValueError(f"{percent} is not a percentage")

    def as_json(self) -> dict[str, object]:
        """Return what `from_json` reads."""
        return {"largest": self.largest, "counts": sorted(self._counts.items())}

    @classmethod
    def from_json(cls, value: Mapping[str, object]) -> DelayHistogram:
        """Return the histogram that `as_json` wrote."""
        found = cls()
        counts = value["counts"]
        largest = value["largest"]
        if not isinstance(counts, list) or not isinstance(largest, int | float):
            raise TypeError("not a histogram")
        found._counts = {int(bucket): int(count) for bucket, count in counts}
        found.total = sum(found._counts.values())
        found.largest = float(largest)
        return found
