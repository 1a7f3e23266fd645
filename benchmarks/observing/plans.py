"""The measures of `observing`."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Self
from urllib.request import urlopen

from benchmarks.layer.figures import Figure
from benchmarks.machine import Placement
from benchmarks.peers.ours.peer import OURS
from benchmarks.plans import run_plans
from benchmarks.rig import Rig

DELIVER = "worker CPU per delivery, 500 clients"
BURSTS = "worker CPU per delivery in bursts of 20, 500 clients"
CONNECT = "worker CPU per connect with a subscription"
SECOND = "idle worker CPU a second, scraped each 5 s"
ANSWER = "a scrape of 8 workers with 50 clients each"
OFF, ON = "figures off", "figures on"

SCRAPE = 5.0  # seconds between two scrapes of /metrics; deploy/prometheus asks each 15 s
SIZE = 250  # bytes of a message's data
PAUSE = 0.02  # seconds for a signal to arrive, or between two scrapes
PATIENCE = 10.0  # seconds for an answer
A_WORKER = b"\nshardlayer_rooms{"  # each has one

SWITCHED = replace(
    OURS,
    name="ours-switched",
    command=(
        *(sys.executable, "-m", "shardlayer.server"),
        *("-v", "0", "-b", "127.0.0.1", "-p", "{port}"),
        "benchmarks.observing.switched_application:application",
    ),
    environment={**OURS.environment, "METRICS_DIRECTORY": "{folder}/metrics"},
)


class SwitchedRig(Rig):
    """A worker whose figures can be switched on and off; while they are on it is scraped."""

    def __init__(self, placement: Placement, folder: Path, *, samples: bool = False) -> None:
        environment = {**SWITCHED.environment, "OBSERVING_SAMPLES": str(int(samples))}
        super().__init__(replace(SWITCHED, environment=environment), placement, folder)
        self._is_on = threading.Event()
        self._is_on.set()

    def switch(self, side: str) -> None:
        """Switch the figures `ON` or `OFF`."""
        os.kill(self.server.pid, signal.SIGUSR1 if side == ON else signal.SIGUSR2)
        if side == ON:
            self._is_on.set()
        else:
            self._is_on.clear()
        time.sleep(PAUSE)

    @contextmanager
    def scraped(self) -> Iterator[None]:
        """Ask for the figures every few seconds in which they are on, inside the block.

        Raises:
            OSError: The worker did not answer.
        """
        stop = threading.Event()
        failures: list[OSError] = []

        def scrape_on() -> None:
            seconds = SCRAPE
            while not stop.wait(STEP):
                seconds += STEP if self._is_on.is_set() else 0
                if seconds < SCRAPE or not self._is_on.is_set():
                    continue
                seconds = 0.0
                try:
                    scrape(self.port)
                except OSError as error:
                    failures.append(error)
                    return

        thread = threading.Thread(target=scrape_on)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
        if failures:
            raise failures[0]


STEP = 0.05  # seconds between two looks whether it is time to scrape


def there_and_back(pairs: int, first: int = 1) -> Iterator[tuple[int, str]]:
    """Yield the order of turns: each pair has both sides, and what comes first changes.

    Each side comes with the number of its pair, from `first` on; only they are compared.
    """
    for pair in range(first, first + pairs):
        for side in (OFF, ON) if pair % 2 else (ON, OFF):
            yield pair, side


@dataclass(frozen=True, slots=True, kw_only=True)
class Deliveries:
    """One worker, switched on and off in short turns; each round starts a new one."""

    members: int = 500
    seconds: float = 0.6  # of a turn
    pairs: int = 25  # of turns in a round
    rounds: int = 4

    def quick(self) -> Self:
        """Return the same for a look whether all of it works."""
        return replace(self, members=50, seconds=0.2, pairs=2, rounds=1)

    def run(self, placement: Placement, folder: Path) -> Iterator[Figure]:
        """Yield the figures of all rounds."""
        for round in range(self.rounds):
            with SwitchedRig(placement, folder) as rig:
                rig.connect(self.members)
                rig.verify()
                rig.one_by_one(burst=20, size=SIZE, seconds=min(0.5, self.seconds))
                rig.settle()
                for measure, burst in ((DELIVER, 1), (BURSTS, 20)):
                    for pair, side in there_and_back(self.pairs, 1 + round * self.pairs):
                        rig.switch(side)
                        yield self._turn(rig, side, measure, burst, pair)

    def _turn(self, rig: SwitchedRig, side: str, measure: str, burst: int, pair: int) -> Figure:
        before = rig.usage().server
        found = rig.one_by_one(burst=burst, size=SIZE, seconds=self.seconds)
        deliveries = found["published"] * rig.members
        return Figure(
            measure=measure,
            layer=side,
            round=pair,
            value=(rig.usage().server - before) / deliveries / 1e3 if found["received"] else None,
            unit="µs",
            calls=deliveries,
            lost=found["lost"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Connects:
    """Clients connect to a worker that is switched on and off in turns, and stay."""

    warm_up: int = 200
    count: int = 100  # in one turn
    pairs: int = 9
    rounds: int = 6

    def quick(self) -> Self:
        """Return the same for a look whether all of it works."""
        return replace(self, warm_up=50, count=50, pairs=2, rounds=1)

    def run(self, placement: Placement, folder: Path) -> Iterator[Figure]:
        """Yield the figures of all rounds."""
        for round in range(self.rounds):
            with SwitchedRig(placement, folder) as rig:
                rig.connect(self.warm_up)
                rig.verify()
                rig.settle()
                for pair, side in there_and_back(self.pairs, 1 + round * self.pairs):
                    rig.switch(side)
                    before = rig.usage().server
                    rig.connect(self.count)
                    yield Figure(
                        measure=CONNECT,
                        layer=side,
                        round=pair,
                        value=(rig.usage().server - before) / self.count / 1e3,
                        unit="µs",
                        calls=self.count,
                    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Seconds:
    """A worker with clients to whom nothing is published: what sampling and scrapes cost it."""

    members: int = 500
    seconds: float = 10.0  # of a turn: twice `SCRAPE`
    pairs: int = 4
    rounds: int = 2

    def quick(self) -> Self:
        """Return the same for a look whether all of it works."""
        return replace(self, members=50, seconds=2.0, pairs=1, rounds=1)

    def run(self, placement: Placement, folder: Path) -> Iterator[Figure]:
        """Yield the figures of all rounds."""
        for round in range(self.rounds):
            with SwitchedRig(placement, folder, samples=True) as rig, rig.scraped():
                rig.connect(self.members)
                rig.settle()
                for pair, side in there_and_back(self.pairs, 1 + round * self.pairs):
                    rig.switch(side)
                    before = rig.usage()
                    time.sleep(self.seconds)
                    after = rig.usage()
                    used = (after.server - before.server) / (after.wall - before.wall)
                    yield Figure(
                        measure=SECOND, layer=side, round=pair, value=used * 1e3, unit="ms", calls=1
                    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Scrapes:
    """Workers of one machine, of which one answers for all."""

    workers: int = 8
    members: int = 50  # of each
    scrapes: int = 50
    rounds: int = 1

    def quick(self) -> Self:
        """Return the same for a look whether all of it works."""
        return replace(self, workers=2, members=10, scrapes=3)

    def run(self, placement: Placement, folder: Path) -> Iterator[Figure]:
        """Yield the time of each answer, in milliseconds."""
        peer = replace(
            SWITCHED, environment={**SWITCHED.environment, "METRICS_DIRECTORY": f"{folder}/shared"}
        )
        for _ in range(self.rounds):
            with ExitStack() as stack:
                rigs = []
                for number in range(self.workers):
                    own = folder / f"worker-{number}"
                    own.mkdir(exist_ok=True)
                    rigs.append(stack.enter_context(Rig(peer, placement, own)))
                    rigs[-1].connect(self.members)
                    rigs[-1].verify()
                self._wait_for_all(rigs[0].port)
                for number in range(1, self.scrapes + 1):
                    began = time.perf_counter()
                    text = scrape(rigs[0].port)
                    yield Figure(
                        measure=ANSWER,
                        layer=ON,
                        round=number,
                        value=(time.perf_counter() - began) * 1e3,
                        unit="ms",
                        calls=1,
                        lost=self.workers - text.count(A_WORKER),
                    )
                    time.sleep(PAUSE)

    def _wait_for_all(self, port: int) -> None:
        deadline = time.monotonic() + PATIENCE
        while scrape(port).count(A_WORKER) < self.workers:
            if time.monotonic() > deadline:
                raise TimeoutError(f"not all {self.workers} workers have figures")
            time.sleep(STEP)


def scrape(port: int) -> bytes:
    """Return all figures, as a worker tells them."""
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE) as answer:
        text: bytes = answer.read()
        return text


Plan = Deliveries | Connects | Seconds | Scrapes

PLANS: Mapping[str, Callable[[], Plan]] = {
    "deliveries": Deliveries,
    "connects": Connects,
    "seconds": Seconds,
    "scrapes": Scrapes,
}
"""What can be asked for."""


run_observing = partial(run_plans, PLANS)
"""Runs those named."""
