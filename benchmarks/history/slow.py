"""Clients that stop reading: what do the others in their room notice?"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from benchmarks.layer.figures import Figure
from benchmarks.machine import Placement
from benchmarks.peers.ours.peer import OURS
from benchmarks.rig import Rig

READERS = "p99 of clients that read, beside 500 of 2,000"
READING, STALLED = "that read too", "that don't"

SIZE = 8_192  # bytes: what a client's buffers hold is past its limit well within a slice


@dataclass(frozen=True, slots=True, kw_only=True)
class Slow:
    """Each slice has a worker of its own: who does not read is closed in the end."""

    readers: int = 1_500
    slow: int = 500
    rate: float = 10.0  # messages/s to all
    seconds: float = 20.0
    rounds: int = 5

    def quick(self) -> Self:
        """Return the same for a look whether all of it works."""
        return replace(self, readers=150, slow=50, seconds=2.0, rounds=1)

    def run(self, placement: Placement, folder: Path) -> Iterator[Figure]:
        """Yield the figures of all rounds."""
        for round in range(1, self.rounds + 1):
            for state in (READING, STALLED) if round % 2 else (STALLED, READING):
                yield self._slice(state, round, placement, folder)

    def _slice(self, state: str, round: int, placement: Placement, folder: Path) -> Figure:
        with Rig(OURS, placement, folder) as rig:
            rig.connect(self.readers)
            apart = rig.connect_apart(self.slow)
            rig.verify()
            if state == STALLED:
                os.kill(apart.pid, signal.SIGSTOP)
            found = rig.steadily(size=SIZE, rate=self.rate, seconds=self.seconds)
        return Figure(
            measure=READERS,
            layer=state,
            round=round,
            value=found["p99_ms"],
            unit="ms",
            calls=found["received"],
            lost=found["lost"],
            repeated=found["misordered"],
        )
