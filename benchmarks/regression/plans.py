"""The measures of `regression`: ratios to what stands beside us and stays as it is.

A machine's speed drifts, and that of a busy one by a factor of two, so nothing is said by a time.
What can't become slower has its turns between ours: a C program for deliveries. Or it works at
the same time: a hand-written loop for records of Kafka. Each pair of turns gives a ratio, and the
median of many is what is judged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple, Self

from benchmarks.broadcast import SIZE
from benchmarks.faults.brokers import EMBEDDED, make_broker
from benchmarks.kafka.plans import SESSIONS
from benchmarks.kafka.sides import loop, ours
from benchmarks.kafka.slice_figures import Slice, whole
from benchmarks.kafka.system import System
from benchmarks.layer.figures import Figure
from benchmarks.machine import Placement
from benchmarks.peers.base import Peer
from benchmarks.peers.ours.peer import OURS
from benchmarks.peers.send.peer import SEND
from benchmarks.plans import Plan, run_plans
from benchmarks.rig import Rig, side_by_side

DELIVERY = "CPU per delivery / send(2)"
RECORD = "CPU per Kafka record / hand-written loop"


class Turn(NamedTuple):
    """What one side did.

    Attributes:
        used: Nanoseconds of the server's CPU that a delivery took; None: there was none.
        lost: Deliveries that did not come.
    """

    used: float | None
    lost: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """Messages one by one to a room, as in `broadcast`, by us and by a loop of send(2) in C.

    Attributes:
        members: Clients of the room.
        seconds: Of a turn.
        pairs: Turns of each in a round, whose processes are new.
        rounds: How often there are new processes, whose luck differs.
    """

    members: int = 500
    seconds: float = 0.6
    pairs: int = 9
    rounds: int = 4  # with two the median of a noisy host was seen at 1.35 and 1.62

    def quick(self) -> Self:
        """Return the same for a look whether all of it works."""
        return replace(self, members=50, seconds=0.1, pairs=2, rounds=1)

    def run(self, placement: Placement, folder: Path) -> Iterator[Figure]:
        """Yield the ratio of each pair of turns."""
        SEND.build(folder)
        peers = (OURS, SEND)
        for round in range(self.rounds):
            with side_by_side(peers, self.members, placement, folder) as rigs:
                for rig in rigs:
                    self._turn(rig)  # warms it up
                for pair in range(self.pairs):
                    turns = rigs if pair % 2 else rigs[::-1]
                    used = {rig.peer.name: self._turn(rig) for rig in turns}
                    yield self._figure(used, peers, 1 + pair + round * self.pairs)

    def _turn(self, rig: Rig) -> Turn:
        rig.settle()
        before = rig.usage().server
        figures = rig.one_by_one(burst=1, size=SIZE, seconds=self.seconds)
        received = int(figures["received"])
        used = rig.usage().server - before
        return Turn(used=used / received if received else None, lost=int(figures["lost"]))

    def _figure(self, turns: Mapping[str, Turn], peers: tuple[Peer, Peer], pair: int) -> Figure:
        ours, other = (turns[peer.name] for peer in peers)
        return Figure(
            measure=DELIVERY,
            layer=OURS.name,
            round=pair,
            value=ours.used / other.used if ours.used and other.used else None,
            unit="x",
            calls=1,
            lost=ours.lost,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Records to rooms of one client, as in `kafka`, by us and by a hand-written loop.

    It is the CPU of all that a record passes behind Kafka: pool, Redis and worker. Kafka is the
    embedded broker, which every machine has, and which both sides share. Both have their turn at
    the same time: on a busy machine more records are fetched at once, which makes each cheaper, so
    turns one after the other differ by a factor of four.

    Attributes:
        rate: Records/s.
        rooms: How many, with one client each.
        seconds: Of a turn.
        pairs: Turns of each in a round, whose processes are new.
        rounds: How often there are new processes.
    """

    rate: int = 1_000
    rooms: int = 100
    seconds: float = 2.0
    pairs: int = 7
    rounds: int = 1

    def quick(self) -> Self:
        """Return the same for a look whether all of it works."""
        return replace(self, rooms=10, seconds=0.1, pairs=2, rounds=1)

    def run(self, placement: Placement, folder: Path) -> Iterator[Figure]:
        """Yield the ratio of each pair of turns; all CPUs are for all."""
        with make_broker(EMBEDDED, folder / "kafka") as broker:
            for round in range(self.rounds):
                yield from self._pairs(broker.bootstrap_servers, round, folder)

    def _pairs(self, servers: str, round: int, folder: Path) -> Iterator[Figure]:
        sides = (ours(), loop())
        with ExitStack() as stack:
            threads = stack.enter_context(ThreadPoolExecutor(len(sides)))
            systems = [
                stack.enter_context(
                    System(
                        side,
                        f"{side.name}-{round}",
                        servers=servers,
                        session=SESSIONS[EMBEDDED],
                        rooms=self.rooms,
                        clients=self.rooms,
                        workers=1,
                        folder=folder,
                    )
                )
                for side in sides
            ]
            list(threads.map(self._turn, systems))  # warms them up
            for pair in range(self.pairs):
                first, second = threads.map(self._turn, systems)
                yield self._figure(first, second, 1 + pair + round * self.pairs)

    def _turn(self, system: System) -> Slice:
        """Have some records come, and wait for all of them."""
        return system.stream(whole(int(self.rate * self.seconds), self.rooms), self.rate)

    def _figure(self, ours: Slice, loop: Slice, pair: int) -> Figure:
        return Figure(
            measure=RECORD,
            layer=OURS.name,
            round=pair,
            value=ours.used.total / loop.used.total,
            unit="x",
            calls=ours.published,
            lost=int(ours.clients["lost"]),
            repeated=int(ours.clients["misordered"]),
        )


PLANS: Final[Mapping[str, Callable[[], Plan]]] = {"delivery": Delivery, "record": Record}
"""By name. Another has its row in recorded.json too: its measure, and the ratio that is usual."""

run_regression = partial(run_plans, PLANS)
"""Runs those named."""
