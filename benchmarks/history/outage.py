"""One shard's Redis stands still: what do rooms on the others notice?"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from benchmarks.faults.brokers import EMBEDDED
from benchmarks.faults.plan import Plan
from benchmarks.faults.system import REDISES, System
from benchmarks.layer.figures import Figure
from shardlayer.core.options import SHARDS
from shardlayer.core.sharding import shard_of

OTHERS = "p99 of rooms on the other Redis"
RUNNING, STOPPED = "both run", "one stopped"

_PLAN = Plan(rooms=100, clients=100, rooms_each=1, rate=5.0, kafka=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """Slices with both Redis and with one stopped, in turns, on one system."""

    seconds: float = 6.0
    rounds: int = 5

    def quick(self) -> Self:
        """Return the same for a look whether all of it works."""
        return replace(self, seconds=1.0, rounds=1)

    def run(self, folder: Path) -> Iterator[Figure]:
        """Yield the figures of all rounds."""
        others = [name for name in _PLAN.names if shard_of(name, SHARDS) % REDISES != 0]
        with System(_PLAN, broker=EMBEDDED, folder=folder / "outage", seed=0) as system:
            for round in range(1, self.rounds + 1):
                for state in (RUNNING, STOPPED) if round % 2 else (STOPPED, RUNNING):
                    yield self._slice(system, state, others, round)

    def _slice(self, system: System, state: str, rooms: list[str], round: int) -> Figure:
        pid = system.redises[0].pid
        if pid is None:
            raise ProcessLookupError("a Redis has ended")
        system.begin()
        if state == STOPPED:
            os.kill(pid, signal.SIGSTOP)
        try:
            count, p99 = system.p99(rooms, self.seconds)
        finally:
            os.kill(pid, signal.SIGCONT)
        account = system.end()
        return Figure(
            measure=OTHERS,
            layer=state,
            round=round,
            value=p99,
            unit="ms",
            calls=count,
            lost=account["lost"] + account["told"],
            repeated=account["twice"],
        )
