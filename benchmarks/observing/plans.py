"""The measures of `observing`."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self
from urllib.request import urlopen

from benchmarks.layer.figures import Figure
from benchmarks.machine import Placement
from benchmarks.peers.base import Peer
from benchmarks.peers.ours.peer import OURS
from benchmarks.rig import Rig

DELIVER = "worker CPU per delivery, 500 clients"
BURSTS = "worker CPU per delivery in bursts of 20, 500 clients"
CONNECT = "worker CPU per connect with a subscription"
OFF, ON = "figures off", "figures on"

SCRAPE = 5.0  # seconds between two scrapes of /metrics; deploy/prometheus asks each 15 s
SIZE = 250  # bytes of a message's data

SEEN = replace(
    OURS,
    name="ours-seen",
    environment={**OURS.environment, "METRICS_DIRECTORY": "{folder}/metrics"},
)
UNSEEN = replace(
    OURS,
    name="ours-unseen",
    command=(
        *(sys.executable, "-m", "shardlayer.server"),
        *("-v", "0", "-b", "127.0.0.1", "-p", "{port}"),
        "benchmarks.observing.unseen_application:application",
    ),
)
SIDES: Sequence[tuple[str, Peer]] = ((OFF, UNSEEN), (ON, SEEN))


@contextmanager
def scraped(rig: Rig) -> Iterator[None]:
    """Ask a server for its figures every few seconds, inside the block.

    Raises:
        OSError: It did not answer.
    """
    stop = threading.Event()
    failures: list[OSError] = []

    def scrape() -> None:
        while not stop.is_set():
            try:
                with urlopen(f"http://127.0.0.1:{rig.port}/metrics", timeout=10) as answer:
                    answer.read()
            except OSError as error:
                failures.append(error)
                return
            stop.wait(SCRAPE)

    thread = threading.Thread(target=scrape)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    if failures:
        raise failures[0]


def there_and_back(round: int) -> Sequence[tuple[int, int]]:
    """Return the order of two sides in four turns: a steady drift favours none of them.

    Each with the number of the pair of turns that are compared.
    """
    order = (0, 1, 1, 0) if round % 2 else (1, 0, 0, 1)
    return [(2 * round - 1 + turn // 2, side) for turn, side in enumerate(order)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deliveries:
    """Both stand side by side, and take turns; each round starts new processes."""

    members: int = 500
    seconds: float = 2.0
    rounds: int = 5

    def quick(self) -> Self:
        """Return the same for a look whether all of it works."""
        return replace(self, members=50, seconds=0.3, rounds=1)

    def run(self, placement: Placement, folder: Path) -> Iterator[Figure]:
        """Yield the figures of all rounds."""
        for round in range(1, self.rounds + 1):
            with ExitStack() as stack:
                rigs = [stack.enter_context(Rig(peer, placement, folder)) for _, peer in SIDES]
                stack.enter_context(scraped(rigs[1]))
                for rig in rigs:
                    rig.connect(self.members)
                    rig.verify()
                    rig.one_by_one(burst=20, size=SIZE, seconds=min(0.5, self.seconds))
                for measure, burst in ((DELIVER, 1), (BURSTS, 20)):
                    for pair, side in there_and_back(round):
                        yield self._turn(rigs[side], SIDES[side][0], measure, burst, pair)

    def _turn(self, rig: Rig, name: str, measure: str, burst: int, round: int) -> Figure:
        rig.settle()
        before = rig.usage().server
        found = rig.one_by_one(burst=burst, size=SIZE, seconds=self.seconds)
        deliveries = found["published"] * rig.members
        return Figure(
            measure=measure,
            layer=name,
            round=round,
            value=(rig.usage().server - before) / deliveries / 1e3,
            unit="µs",
            calls=deliveries,
            lost=found["lost"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Connects:
    """Clients connect to the one and to the other in turns, some hundred at a time, and stay."""

    warm_up: int = 200
    count: int = 400  # in one turn
    rounds: int = 5

    def quick(self) -> Self:
        """Return the same for a look whether all of it works."""
        return replace(self, warm_up=50, count=100, rounds=1)

    def run(self, placement: Placement, folder: Path) -> Iterator[Figure]:
        """Yield the figures of all rounds."""
        for round in range(1, self.rounds + 1):
            with ExitStack() as stack:
                rigs = [stack.enter_context(Rig(peer, placement, folder)) for _, peer in SIDES]
                stack.enter_context(scraped(rigs[1]))
                for rig in rigs:
                    rig.connect(self.warm_up)
                    rig.verify()
                for pair, side in there_and_back(round):
                    rig = rigs[side]
                    rig.settle()
                    before = rig.usage().server
                    rig.connect(self.count)
                    rig.settle()
                    yield Figure(
                        measure=CONNECT,
                        layer=SIDES[side][0],
                        round=pair,
                        value=(rig.usage().server - before) / self.count / 1e3,
                        unit="µs",
                        calls=self.count,
                    )


Plan = Deliveries | Connects

PLANS: Mapping[str, Callable[[], Plan]] = {"deliveries": Deliveries, "connects": Connects}
"""What can be asked for."""


def run_observing(
    names: Sequence[str], folder: Path, *, rounds: int | None, quick: bool
) -> Iterator[Figure]:
    """Yield the figures of all rounds of all measures: see `run_history`."""
    placement = Placement.of_machine()
    for name in names:
        plan = PLANS[name]()
        if quick:
            plan = plan.quick()
        if rounds is not None:
            plan = replace(plan, rounds=rounds)
        yield from plan.run(placement, folder)
