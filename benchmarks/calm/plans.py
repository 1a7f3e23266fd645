"""The measure of `calm`: a worker's CPU for each client of a room that is published to often."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final, Self

from benchmarks.layer.figures import Figure
from benchmarks.machine import Placement
from benchmarks.peers.base import Peer
from benchmarks.peers.ours.peer import OURS
from benchmarks.plans import run_plans
from benchmarks.rig import Rig

AT_ONCE, JOINED, CONFLATED = "each at once", "4 writes/s, joined", "4 writes/s, conflated"
RATES: Final = (10, 25, 50)  # messages/s
SIZE: Final = 250  # bytes of a message's data


def measure_of(rate: int) -> str:
    """Return the name of what is measured at a rate of publishing."""
    return f"worker CPU per client and second, {rate} messages/s"


def _with(name: str, settings: str) -> Peer:
    environment = {**OURS.environment, "DJANGO_SETTINGS_MODULE": settings}
    return replace(OURS, name=name, environment=environment)


PEERS: Final[Mapping[str, Peer]] = {
    AT_ONCE: OURS,
    JOINED: _with("ours-calm", "benchmarks.calm.settings"),
    CONFLATED: _with("ours-conflated", "benchmarks.calm.conflated_settings"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CalmRoom:
    """One room with many clients, published to at one rate after another."""

    members: int = 500
    seconds: float = 6.0
    rounds: int = 3

    def quick(self) -> Self:
        """Return the same for a look whether all of it works."""
        return replace(self, members=50, seconds=1.0, rounds=1)

    def run(self, placement: Placement, folder: Path) -> Iterator[Figure]:
        """Yield the figures of all rounds."""
        for round in range(1, self.rounds + 1):
            turns = list(PEERS.items())
            for name, peer in turns if round % 2 else reversed(turns):
                with Rig(peer, placement, folder) as rig:
                    rig.connect(self.members)
                    if name != CONFLATED:  # where not every message arrives
                        rig.verify()
                    for rate in RATES:
                        yield self._slice(rig, name, rate, round)

    def _slice(self, rig: Rig, name: str, rate: int, round: int) -> Figure:
        rig.settle()
        before = rig.usage()
        whole = name != CONFLATED
        found = rig.steadily(size=SIZE, rate=rate, seconds=self.seconds, all_arrive=whole)
        used = rig.usage().server - before.server
        return figure_of(name, rate, round, found, used / rig.members / self.seconds)


def figure_of(
    name: str, rate: int, round: int, found: Mapping[str, float], nanoseconds: float
) -> Figure:
    """Return the figure of one slice; none if nothing came: such a room is the cheapest.

    Args:
        name: Of PEERS.
        rate: Messages a second.
        round: See Figure.
        found: What publisher and clients counted.
        nanoseconds: Of the server's CPU, for a client in a second.
    """
    return Figure(
        measure=measure_of(rate),
        layer=name,
        round=round,
        value=nanoseconds / 1e3 if found["received"] else None,
        unit="µs",
        calls=int(found["published"]),
        lost=0 if name == CONFLATED else int(found["lost"]),
    )


PLANS: Final = {"room": CalmRoom}


run_calm = partial(run_plans, PLANS)
"""Runs those named."""
