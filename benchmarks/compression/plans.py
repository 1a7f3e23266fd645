"""The measures of `compression`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final, Self

from benchmarks.broadcast import WARM_UP
from benchmarks.layer.figures import Figure
from benchmarks.machine import Placement
from benchmarks.peers.base import Peer
from benchmarks.peers.ours.peer import OURS
from benchmarks.plans import run_plans
from benchmarks.rig import Rig, side_by_side

OFF, ALL, NONE, ONE = "not compressed", "compressed", "on, nobody offers", "on, one client offers"
_STAMPED = 100  # bytes: the emitter puts a table around the stamp
_OFFERS: Final[Mapping[str, tuple[bool, ...]]] = {
    OFF: (True,),
    ALL: (True,),
    NONE: (False,),
    ONE: (True, *[False] * 9_999),
}


def cpu_of(members: int) -> str:
    """Return the name of what is measured in a room of so many clients."""
    return f"worker CPU per delivery, {members:,} clients"


def bytes_of(members: int) -> str:
    """Return the name of what else is measured there."""
    return f"bytes per delivery, {members:,} clients"


def _peer(name: str, number: int) -> Peer:
    *program, application = OURS.command
    options = (
        ()
        if name == OFF
        else ("--websocket-compression=6", "--websocket-compression-min-clients=1")
    )
    return replace(
        OURS,
        name=f"ours-{number}",
        command=(*program, *options, application),
        greeting=replace(OURS.greeting, offers=_OFFERS[name]),
        emitter="benchmarks.compression.rows:TableEmitter",
    )


PEERS: Final = {name: _peer(name, number) for number, name in enumerate(_OFFERS)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """Tables of 1 KB one by one, each when all clients have got the one before.

    All workers stand side by side and take turns, as in `broadcast`.
    """

    members: int = 1000
    seconds: float = 2.0
    rounds: int = 7

    def quick(self) -> Self:
        """Return the same for a look whether all of it works."""
        return replace(self, members=self.members // 20, seconds=0.3, rounds=1)

    def run(self, placement: Placement, folder: Path) -> Iterator[Figure]:
        """Yield the figures of all rounds."""
        for round in range(1, self.rounds + 1):
            with side_by_side(PEERS.values(), self.members, placement, folder) as rigs:
                turns = list(zip(PEERS, rigs, strict=True))
                for name, rig in turns if round % 2 else reversed(turns):
                    yield from self._slice(rig, name, round)

    def _slice(self, rig: Rig, name: str, round: int) -> Iterator[Figure]:
        rig.one_by_one(burst=1, size=_STAMPED, seconds=min(WARM_UP, self.seconds))
        rig.settle()
        before, read = rig.usage(), rig.bytes_read()
        figures = rig.one_by_one(burst=1, size=_STAMPED, seconds=self.seconds)
        used, read = rig.usage().server - before.server, rig.bytes_read() - read
        received = int(figures["received"])
        for measure, spent, unit in (
            (cpu_of(self.members), used / 1e3, "µs"),
            (bytes_of(self.members), read, "bytes"),
        ):
            yield Figure(
                measure=measure,
                layer=name,
                round=round,
                value=spent / received if received else None,
                unit=unit,
                calls=received,
                lost=int(figures["lost"]),
            )


PLANS: Final[Mapping[str, Callable[[], Room]]] = {
    "large": Room,
    "small": partial(Room, members=20),
}

run_compression = partial(run_plans, PLANS)
"""Runs those named."""
