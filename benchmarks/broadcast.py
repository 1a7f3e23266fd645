"""`broadcast`: what a delivery costs, and how long it takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from benchmarks.machine import Placement
from benchmarks.peers.base import Peer
from benchmarks.rig import Rig, side_by_side
from benchmarks.samples import Delivered
from benchmarks.targets import BURSTS, FLOOD, ONE_BY_ONE

SIZE = 250  # bytes of a message's data
WARM_UP = 0.3  # seconds of messages that are not counted, before a slice


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """Messages one by one, and in bursts of 20, each after the one before arrived everywhere.

    All peers stand side by side while they take turns of `seconds`, so that they meet the machine
    at the same speed. Each round starts new processes, so that one process's luck (where its
    memory lies, its hash seed) is not the result.
    """

    members: int = 500
    seconds: float = 2.0
    rounds: int = 7

    def quick(self) -> Self:
        """Return the same for a look whether all of it works."""
        return replace(self, members=50, seconds=0.3, rounds=1)

    def run(self, peers: Sequence[Peer], placement: Placement, folder: Path) -> Iterator[Delivered]:
        """Yield the samples of all rounds."""
        for round in range(1, self.rounds + 1):
            with side_by_side(peers, self.members, placement, folder) as rigs:
                turns = [(rig, burst) for rig in rigs for burst in (1, 20)]
                # There and back again: a steady drift favours nobody.
                for rig, burst in turns if round % 2 else reversed(turns):
                    yield self._slice(rig, burst, round)

    def _slice(self, rig: Rig, burst: int, round: int) -> Delivered:
        rig.one_by_one(burst=burst, size=SIZE, seconds=min(WARM_UP, self.seconds))
        rig.settle()
        before = rig.usage()
        figures = rig.one_by_one(burst=burst, size=SIZE, seconds=self.seconds)
        return Delivered.of(
            figures,
            before,
            rig.usage(),
            scenario=ONE_BY_ONE if burst == 1 else BURSTS,
            peer=rig.peer.name,
            round=round,
            members=rig.members,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Flood:
    """A steady rate that is near what one worker can do.

    The peers that can't do it get a rate that they can, for a shorter time, since what is compared
    is CPU per delivery. They run one after the other, with nothing else there.
    """

    members: int = 2000
    rate: float = 25.0  # messages/s to all members
    seconds: float = 20.0
    rounds: int = 5
    slow_seconds: float = 10.0

    def quick(self) -> Self:
        """Return the same for a look whether all of it works."""
        return replace(self, members=200, seconds=2.0, rounds=1, slow_seconds=2.0)

    def run(self, peers: Sequence[Peer], placement: Placement, folder: Path) -> Iterator[Delivered]:
        """Yield the samples of all rounds."""
        for round in range(1, self.rounds + 1):
            for peer in peers if round % 2 else reversed(peers):
                with Rig(peer, placement, folder) as rig:
                    rig.connect(self.members)
                    rig.verify()
                    yield self._slice(rig, round)

    def _slice(self, rig: Rig, round: int) -> Delivered:
        slow = rig.peer.steady_rate
        rate, seconds = (self.rate, self.seconds) if slow is None else (slow, self.slow_seconds)
        rig.steadily(size=SIZE, rate=rate, seconds=min(1.0, seconds))
        rig.settle()
        before = rig.usage()
        figures = rig.steadily(size=SIZE, rate=rate, seconds=seconds)
        return Delivered.of(
            figures,
            before,
            rig.usage(),
            scenario=FLOOD if slow is None else f"{rate:g} messages/s",
            peer=rig.peer.name,
            round=round,
            members=rig.members,
        )


SCENARIOS: dict[str, Room | Flood] = {"room": Room(), "flood": Flood()}
"""By name, as the command takes them."""
