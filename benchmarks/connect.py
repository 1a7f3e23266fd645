"""`connect`: what a connection costs, once and while it stands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from benchmarks.machine import Placement
from benchmarks.peers.base import Peer
from benchmarks.rig import Rig
from benchmarks.samples import Connected


@dataclass(frozen=True, slots=True, kw_only=True)
class Connections:
    """Many clients connect to a new process, 32 at a time, and stay.

    The first ones are not counted: they make the process import, compile and allocate what it
    needs once. They stay open, so that the memory of the others can't come out of theirs.
    """

    warm_up: int = 200
    count: int = 2000
    rounds: int = 5

    def quick(self) -> Self:
        """Return the same for a look whether all of it works."""
        return replace(self, warm_up=50, count=200, rounds=1)

    def run(self, peers: Sequence[Peer], placement: Placement, folder: Path) -> Iterator[Connected]:
        """Yield the samples of all rounds."""
        for round in range(1, self.rounds + 1):
            for peer in peers if round % 2 else reversed(peers):
                with Rig(peer, placement, folder) as rig:
                    yield self._measure(rig, round)

    def _measure(self, rig: Rig, round: int) -> Connected:
        rig.connect(self.warm_up)
        if rig.delivers:
            rig.verify()
        rig.settle()
        before, small = rig.usage(), rig.rss()
        seconds = rig.connect(self.count)
        rig.settle()
        after, large = rig.usage(), rig.rss()
        if rig.delivers:
            rig.verify()  # they are really subscribed
        return Connected(
            peer=rig.peer.name,
            round=round,
            connections=self.count,
            open_before=self.warm_up,
            seconds=seconds,
            ms_per_connect=(after.server - before.server) / self.count / 1e6,
            kb_per_connection=(large - small) / self.count / 1024,
            redis_us_per_connect=(after.redis - before.redis) / self.count / 1e3,
            clients_busy=(after.clients - before.clients) / seconds / 1e9,
        )
