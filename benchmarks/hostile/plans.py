"""The measure of `hostile`: what a worker and its clients make of what strangers send."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.children import ChildFailed, Servant
from benchmarks.layer.figures import Figure
from benchmarks.machine import Placement
from benchmarks.peers.ours.peer import OURS
from benchmarks.rig import Rig

ATTACKED, LEFT_ALONE = "attacked", "left alone"
P99, P50 = "other clients' p99", "other clients' p50"
GROWTH = "memory that the worker keeps"
ERRORS = "errors in the worker's log, and crashes"
CASES = "cases"

_MESSAGE = 200  # bytes
_UNEXPECTED = re.compile(r"Traceback|ERROR|CRITICAL|Unhandled|Exception ")
_LINE = 200  # characters of a line of the log
_SETTLING = 5.0  # seconds for the last connections to be over

PEER = replace(
    OURS,
    name="hostile",
    environment={**OURS.environment, "DJANGO_SETTINGS_MODULE": "benchmarks.hostile.settings"},
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hostile:
    """Clients who follow a room, while an attacker sends cases to their worker, or to nobody.

    Sent to nobody, they cost the machine the same, and the worker nothing.
    """

    cases: int = 10_000
    warm_up: int = 1_000  # cases, until what is made once is made
    clients: int = 50
    rate: float = 100.0  # messages/s to the room
    attack_rate: float = 50.0  # cases/s
    seed: int = 1
    rounds: int = 20

    def quick(self) -> Hostile:
        """Return the same for a look whether all of it works."""
        return replace(self, cases=600, warm_up=600, clients=10, attack_rate=150.0, rounds=2)

    def run(self, placement: Placement, folder: Path) -> Iterator[Figure]:
        """Yield the figures of all rounds; `cases` are sent in all of them together."""
        with Rig(PEER, placement, folder) as rig, self._attacker(placement, folder) as attacker:
            rig.connect(self.clients)
            rig.verify()
            host = f"127.0.0.1:{rig.port}"
            attacker.ask("prepare", 300.0, seed=self.seed, count=self.warm_up, host=host)
            self._send(attacker, rig.port, self.warm_up)
            time.sleep(_SETTLING)
            rig.settle()
            before = rig.rss()
            share = self.cases // self.rounds
            sent = failed = 0
            for round in range(1, self.rounds + 1):
                seed = self.seed + round
                made = attacker.ask("prepare", 300.0, seed=seed, count=share, host=host)
                order = [(ATTACKED, rig.port), (LEFT_ALONE, made["idle"])]
                for name, port in order if round % 2 else reversed(order):
                    arrived, answer = self._window(rig, attacker, port, share)
                    if name == ATTACKED:
                        sent, failed = sent + answer["sent"], failed + answer["failed"]
                    for measure, key in ((P50, "p50_ms"), (P99, "p99_ms")):
                        yield Figure(
                            measure=measure,
                            layer=name,
                            round=round,
                            value=arrived[key] if arrived["received"] else None,
                            unit="ms",
                            calls=arrived["received"],
                            lost=arrived["lost"],
                        )
            time.sleep(_SETTLING)
            rig.settle()
            grown = (rig.rss() - before) / 2**20
            found = Counter(unexpected(rig.server.log))
            if failed:
                found["connections refused"] = failed

        def figure(measure: str, value: float, unit: str = "") -> Figure:
            return Figure(
                measure=measure,
                layer=ATTACKED,
                round=1,
                value=value if sent else None,  # who is not attacked stands it
                unit=unit,
                calls=sent,
            )

        yield figure(GROWTH, grown, "MB")
        yield replace(figure(ERRORS, float(found.total())), failed=dict(found))
        yield figure(CASES, float(sent))

    def _attacker(self, placement: Placement, folder: Path) -> Servant:
        return Servant(
            "attacker", ["benchmarks.hostile.attacker"], cpus=placement.others, folder=folder
        )

    def _send(self, attacker: Servant, port: int, count: int) -> dict[str, Any]:
        seconds = count / self.attack_rate
        return attacker.ask("attack", 60.0 + 10 * seconds, port=port, seconds=seconds)

    def _window(
        self, rig: Rig, attacker: Servant, port: int, count: int
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Publish to the clients while the cases are sent; return what both found."""
        answers: list[dict[str, Any]] = []

        def send() -> None:
            answers.append(self._send(attacker, port, count))

        thread = threading.Thread(target=send)
        thread.start()
        seconds = count / self.attack_rate
        try:
            found = rig.steadily(size=_MESSAGE, rate=self.rate, seconds=seconds)
        finally:
            thread.join()
        if not answers:
            raise ChildFailed("The attacker did not answer.")
        return found, answers[0]


def unexpected(log: str) -> list[str]:
    """Return the lines of a worker's log that tell of something that nobody expected."""
    return [line[:_LINE] for line in log.splitlines() if _UNEXPECTED.search(line)]
