"""A node that is too slow for what is published: does it go on from the history, in order, once?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from benchmarks.history.pair import Pair
from benchmarks.layer.figures import Figure
from benchmarks.machine import Placement

FLOOD = "flood of 8 rooms, a slow node"

_PATIENCE = 120.0  # seconds


class NotSlow(RuntimeError):
    """The node kept up, so nothing was shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowNode:
    """A member of each room, whose node stands still with each message."""

    count: int = 500_000  # publications
    pause: float = 1 / 25_000  # seconds a message
    rounds: int = 3

    def quick(self) -> Self:
        """Return the same for a look whether all of it works."""
        return replace(self, count=200_000, rounds=1)

    def run(self, placement: Placement, folder: Path) -> Iterator[Figure]:
        """Yield the figures of all rounds.

        Raises:
            NotSlow: It never had to turn to the history.
        """
        for round in range(1, self.rounds + 1):
            with Pair("ours", to="", names=[], placement=placement, folder=folder) as pair:
                pair.join_slowly(self.pause)
                sent, came = pair.flood(self.count, patience=_PATIENCE)
            if not came["overflows"]:
                raise NotSlow(f"the node took {self.count / sent['seconds']:,.0f} publications/s")
            yield Figure(
                measure=FLOOD,
                layer="ours",
                round=round,
                value=self.count / sent["seconds"],
                unit="publications/s",
                calls=self.count,
                lost=self.count - came["count"] + came["missing"],
                repeated=came["repeated"],
            )
