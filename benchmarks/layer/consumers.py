"""What a group's message costs a server per consumer that handles it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from benchmarks.broadcast import SIZE, WARM_UP
from benchmarks.layer.chat.peers import CHATS
from benchmarks.layer.figures import Figure
from benchmarks.machine import Placement
from benchmarks.rig import Rig, side_by_side
from realtime.loadtest.process_look import cpu_ns

CONSUMERS = "CPU per delivery, consumers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumers:
    """Messages to a group one by one, each after all members' clients have got the one before.

    The chats stand side by side, take turns of `seconds`, and are new in each round.
    """

    members: int = 500
    seconds: float = 3.0
    rounds: int = 7

    def quick(self) -> Self:
        """Return the same for a look whether all of it works."""
        return replace(self, members=50, seconds=0.5, rounds=1)

    def run(self, placement: Placement, folder: Path) -> Iterator[Figure]:
        """Yield the figures of all rounds."""
        for round in range(1, self.rounds + 1):
            with side_by_side(CHATS.values(), self.members, placement, folder) as rigs:
                # There and back again: a steady drift favours nobody.
                for rig in rigs if round % 2 else reversed(rigs):
                    yield self._slice(rig, round)

    def _slice(self, rig: Rig, round: int) -> Figure:
        rig.one_by_one(burst=1, size=SIZE, seconds=min(WARM_UP, self.seconds))
        rig.settle()
        before = cpu_ns(rig.server.pid)
        found = rig.one_by_one(burst=1, size=SIZE, seconds=self.seconds)
        used = cpu_ns(rig.server.pid) - before
        return Figure(
            measure=CONSUMERS,
            layer=rig.peer.name,
            round=round,
            value=used / found["received"] / 1e3 if found["received"] else None,
            unit="µs",
            calls=found["received"],
            lost=found["lost"],
            repeated=found["misordered"],
        )
