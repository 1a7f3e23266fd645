"""The measures of `presence`."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Self

from benchmarks.children import Servant
from benchmarks.layer.figures import Figure
from benchmarks.machine import Placement
from benchmarks.peers.ours.peer import OURS
from benchmarks.plans import run_plans
from benchmarks.rig import Rig
from benchmarks.valkey import valkey
from realtime.loadtest.process_look import cpu_ns

CONNECT = "worker CPU per connect with a subscription"
REDIS = "Redis CPU per join of a room of one's own, 500 joins/s"
PAGE = "first page of 100, of 10,000 in one room"
KILLED = "a node killed: until its people are gone and its rooms vacated, in leases"
OFF, ON = "without presence", "with presence"
TOLD = "with presence, and members told"
NODES = "two nodes"

LEASE = 60.0  # seconds
DELAY = 0.1  # seconds, the default
PATIENCE = 120.0  # seconds


class Node(Servant):
    """A process with people in rooms."""

    def __init__(
        self, name: str, url: str, placement: Placement, folder: Path, *, lease: float = LEASE
    ) -> None:
        words = ["benchmarks.presence.worker", url, str(lease), str(DELAY)]
        super().__init__(name, words, cpus=placement.server, folder=folder)

    def do(self, what: str, **arguments: Any) -> dict[str, Any]:
        """Give an instruction and return the answer."""
        return self.ask(what, PATIENCE, **arguments)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectPresence:
    """Clients connect to the whole server, with and without presence in turns."""

    warm_up: int = 200
    count: int = 2000
    rounds: int = 5

    def quick(self) -> Self:
        """Return the same for a look whether all of it works."""
        return replace(self, warm_up=50, count=200, rounds=1)

    def run(self, placement: Placement, folder: Path) -> Iterator[Figure]:
        """Yield the figures of all rounds."""
        settings = {"DJANGO_SETTINGS_MODULE": "benchmarks.presence.settings"}
        seen = replace(OURS, name="ours-seen", environment={**OURS.environment, **settings})
        for round in range(1, self.rounds + 1):
            turns = [(OFF, OURS), (ON, seen)]
            for name, peer in turns if round % 2 else reversed(turns):
                with Rig(peer, placement, folder) as rig:
                    rig.connect(self.warm_up)
                    rig.verify()
                    rig.settle()
                    before = rig.usage()
                    rig.connect(self.count)
                    rig.settle()
                    used = (rig.usage().server - before.server) / self.count / 1e3
                yield Figure(
                    measure=CONNECT,
                    layer=name,
                    round=round,
                    value=used,
                    unit="µs",
                    calls=self.count,
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisJoins:
    """Each person joins a room of their own, so that each join asks Redis with and without."""

    count: int = 2000
    rate: float = 500.0  # a second
    rounds: int = 5

    def quick(self) -> Self:
        """Return the same for a look whether all of it works."""
        return replace(self, count=200, rounds=1)

    def run(self, placement: Placement, folder: Path) -> Iterator[Figure]:
        """Yield the figures of all rounds."""
        names = [f"r{number}" for number in range(self.count)]
        for round in range(1, self.rounds + 1):
            turns = (OFF, ON, TOLD)
            for name in turns if round % 2 else reversed(turns):
                with ExitStack() as stack:
                    server, url = stack.enter_context(valkey("valkey", placement.others, folder))
                    node = stack.enter_context(Node("node", url, placement, folder))
                    node.do("open")
                    self._join(node, [f"w{number}" for number in range(100)], name)
                    before = cpu_ns(server.pid)
                    self._join(node, names, name)
                    used = (cpu_ns(server.pid) - before) / self.count / 1e3
                yield Figure(
                    measure=REDIS, layer=name, round=round, value=used, unit="µs", calls=self.count
                )

    def _join(self, node: Node, rooms: Sequence[str], how: str) -> None:
        node.do(
            "join", rooms=rooms, persons=rooms, rate=self.rate, seen=how != OFF, told=how == TOLD
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PresencePages:
    """A page of one large room, whose people are on two nodes; nothing else happens."""

    people: int = 10_000
    rounds: int = 20

    def quick(self) -> Self:
        """Return the same for a look whether all of it works."""
        return replace(self, people=500, rounds=3)

    def run(self, placement: Placement, folder: Path) -> Iterator[Figure]:
        """Yield the figures of all rounds."""
        persons = [f"{number}" for number in range(self.people)]
        with ExitStack() as stack:
            _, url = stack.enter_context(valkey("valkey", placement.others, folder))
            for number in range(2):
                node = stack.enter_context(Node(f"node-{number}", url, placement, folder))
                node.do("open")
                here = persons[number::2]
                rooms = ["lobby"] * len(here)
                node.do("join", rooms=rooms, persons=here, rate=0, seen=True)
            for round in range(self.rounds + 1):
                page = node.do("page", room="lobby", limit=100)
                if round:  # the first one connects
                    yield Figure(
                        measure=PAGE,
                        layer=NODES,
                        round=round,
                        value=page["ms"],
                        unit="ms",
                        calls=page["named"],
                        lost=self.people - page["people"],
                    )


@dataclass(frozen=True, slots=True, kw_only=True)
class KilledNode:
    """A node with people in rooms of its own is killed at any moment; another one watches."""

    people: int = 2_000
    lease: float = 6.0  # seconds
    rounds: int = 8

    def quick(self) -> Self:
        """Return the same for a look whether all of it works."""
        return replace(self, people=100, lease=2.0, rounds=1)

    def run(self, placement: Placement, folder: Path) -> Iterator[Figure]:
        """Yield the figures of all rounds."""
        rooms = [f"r{number}" for number in range(self.people)]
        for round in range(1, self.rounds + 1):
            with ExitStack() as stack:
                _, url = stack.enter_context(valkey("valkey", placement.others, folder))
                watch, dying = (
                    stack.enter_context(Node(name, url, placement, folder, lease=self.lease))
                    for name in ("watching", "dying")
                )
                watch.do("open")
                dying.do("open")
                dying.do("join", rooms=rooms, persons=rooms, rate=0, seen=True)
                time.sleep(random.uniform(0, self.lease))
                begun = time.monotonic()
                dying.stop()
                found = watch.do("vacated", rooms=self.people, patience=5 * self.lease)
                took = time.monotonic() - begun
                left = sum(watch.do("page", room=room, limit=0)["people"] for room in rooms[:20])
            yield Figure(
                measure=KILLED,
                layer=NODES,
                round=round,
                value=took / self.lease,
                unit="",
                calls=found["rooms"],
                lost=self.people - found["rooms"] + left,
            )


Plan = ConnectPresence | RedisJoins | PresencePages | KilledNode

PLANS: Mapping[str, Callable[[], Plan]] = {
    "connect": ConnectPresence,
    "redis": RedisJoins,
    "page": PresencePages,
    "killed": KilledNode,
}
"""What can be asked for."""


run_presence = partial(run_plans, PLANS)
"""Runs those named."""
