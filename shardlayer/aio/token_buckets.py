"""How often something may be done: token buckets, one at a time or many by key.

A token bucket fills at a rate and holds a burst; what is done takes tokens from it. So much may be
done at once, and in the long run no more than the rate.

A bucket is one number, as in the generic cell rate algorithm (GCRA, ITU-T I.371): the moment at
which it will be full again. A bucket that was never used has 0, which is long past.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from time import monotonic
from typing import Generic, TypeVar

_ROUNDING = 1e-6  # seconds: what adding to a clock and taking it away again may add
MAX_KEYS = 10_000  # buckets of one table, of some 150 bytes each

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Bucket:
    """How fast buckets of one kind fill, and what they hold.

    Attributes:
        rate: Tokens a second; 0: there are always enough.
        burst: Tokens that one holds, at first and at most.
    """

    rate: float
    burst: float

    def take(self, full_at: float, count: float = 1.0) -> float | None:
        """Take so many tokens from a bucket that is full at that time; None if they are missing.

        Returns when it is full again, by `time.monotonic()`.
        """
        if not self.rate:
            return full_at
        now = monotonic()
        full_at = (full_at if full_at > now else now) + count / self.rate
        return full_at if full_at - now <= self.burst / self.rate + _ROUNDING else None


class BucketTable(Generic[Key]):
    """A bucket for each key, for keys that strangers bring.

    A bucket that is full again is the same as none, and is forgotten. There are never more than
    `most`: past that the one goes that was used longest ago, which then counts as full.

    Args:
        bucket: How the buckets fill.
        most: Buckets that are kept.
    """

    def __init__(self, bucket: Bucket, most: int = MAX_KEYS) -> None:
        self._bucket = bucket
        self._most = most
        self._full_at: dict[Key, float] = {}  # in the order of their last use

    def __len__(self) -> int:
        return len(self._full_at)

    def take(self, key: Key, count: float = 1.0) -> bool:
        """Take tokens from a key's bucket; say whether they were there."""
        if not self._bucket.rate:
            return True
        before = self._full_at.pop(key, 0.0)
        after = self._bucket.take(before, count)
        self._full_at[key] = before if after is None else after
        self._forget()
        return after is not None

    def _forget(self) -> None:
        """Drop up to two of the buckets that were used longest ago: one more than comes in."""
        now = monotonic()
        for _ in range(2):
            key = next(iter(self._full_at))
            if self._full_at[key] > now and len(self._full_at) <= self._most:
                return
            del self._full_at[key]
            if not self._full_at:
                return
