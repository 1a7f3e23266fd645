"""The measures of `rolling`."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, Self

from benchmarks.children import Servant
from benchmarks.greeting import Greeting, Step
from benchmarks.layer.figures import Figure
from benchmarks.plans import Sized, sized
from benchmarks.rolling.fleet import WORKERS, Fleet
from benchmarks.swarm_process import open_clients
from shardlayer import Position
from shardlayer.server.drain import LOWEST_RATE, RETURN_WITHIN

CALM, ROLLED, STORMED = "calm", "restarts", "storm"

P50, P99 = "latency, p50", "latency, p99"
DELIVERIES = "deliveries a second"
PEAK = "clients back within a second, of those that the spread allows"
AWAY = "a client's time away, p99"
HEALTH_P50, HEALTH_P99 = "answer to /health, p50", "answer to /health, p99"
STORM = "all back, subscribed and recovered"
STORM_CPU = "CPU of workers, balancer and Redis for that"

_PATIENCE = 60.0  # seconds


class Plan(Sized, Protocol):
    """One of the measures."""

    def run(self, folder: Path) -> Iterator[Figure]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Rolling:
    """All workers restarted one after the other while clients follow rooms; before it, none."""

    clients: int = 2000
    rooms: int = 20
    rate: float = 5.0  # messages/s to each room: 10,000 deliveries/s in all
    drain_seconds: float = 10.0
    calm_seconds: float = 10.0
    workers: int = WORKERS
    rounds: int = 1

    def quick(self) -> Self:
        """Return the same for a look whether all of it works."""
        return replace(self, clients=100, rooms=5, drain_seconds=1.0, calm_seconds=1.0, workers=2)

    def run(self, folder: Path) -> Iterator[Figure]:
        """Yield the figures of all rounds."""
        for round in range(1, self.rounds + 1):
            with Fleet(
                folder,
                clients=self.clients,
                rooms=self.rooms,
                rate=self.rate,
                drain_seconds=self.drain_seconds,
            ) as fleet:
                fleet.begin()
                asked = sorted(fleet.ask_health(self.calm_seconds))
                yield from _latencies(CALM, round, fleet.end(), self.calm_seconds)
                for measure, percent in ((HEALTH_P50, 50), (HEALTH_P99, 99)):
                    yield Figure(
                        measure=measure,
                        layer=CALM,
                        round=round,
                        value=asked[len(asked) * percent // 100],
                        unit="ms",
                        calls=len(asked),
                    )
                fleet.begin()
                began = time.monotonic()
                restarts = [fleet.restart(number) for number in range(self.workers)]
                seconds = time.monotonic() - began
                found = fleet.end()
                yield from _latencies(ROLLED, round, found, seconds)
                returns = sorted(found["returns"])
                yield Figure(
                    measure=PEAK,
                    layer=ROLLED,
                    round=round,
                    value=max(_peak_share(restart, returns, fleet) for restart in restarts) or None,
                    unit="x",
                    calls=len(returns),
                )
                away = sorted(back - left for left, back in returns)
                yield Figure(
                    measure=AWAY,
                    layer=ROLLED,
                    round=round,
                    value=away[len(away) * 99 // 100] * 1e3,
                    unit="ms",
                    calls=len(away),
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class Storm:
    """All clients lose their connections in one moment and come back in the same.

    Each has missed some publications, and is back when it was told of them, and that they are all.
    """

    clients: int = 2000
    rooms: int = 20
    rate: float = 5.0
    rounds: int = 5

    def quick(self) -> Self:
        """Return the same for a look whether all of it works."""
        return replace(self, clients=100, rooms=5, rounds=1)

    def run(self, folder: Path) -> Iterator[Figure]:
        """Yield the figures of all rounds."""
        with Fleet(folder, clients=0, rooms=self.rooms, rate=self.rate, drain_seconds=0) as fleet:
            here = fleet.swarm("swarm-0")
            self._open(fleet, here, at_once=32)
            for round in range(1, self.rounds + 1):
                behind = fleet.positions()
                fleet.begin()
                time.sleep(1)  # everybody misses some
                fleet.end()
                back = fleet.swarm(f"swarm-{round}")
                used, began = fleet.cpu_seconds(), time.monotonic()
                here.stop()
                self._open(fleet, back, at_once=self.clients, behind=behind)
                seconds = time.monotonic() - began
                used = fleet.cpu_seconds() - used
                here = back
                for measure, value in ((STORM, seconds), (STORM_CPU, used)):
                    yield Figure(
                        measure=measure,
                        layer=STORMED,
                        round=round,
                        value=value,
                        unit="s",
                        calls=self.clients,
                    )

    def _open(
        self,
        fleet: Fleet,
        swarm: Servant,
        *,
        at_once: int,
        behind: Sequence[tuple[str, Position]] = (),
    ) -> None:
        answer = open_clients(
            swarm,
            self.clients,
            port=fleet.port,
            greeting=_greeting(fleet, behind),
            at_once=at_once,
            timeout=_PATIENCE,
        )
        if answer["subscribed"] != self.clients:
            raise swarm.failure(f"has {answer['subscribed']} of {self.clients} clients")


def _greeting(fleet: Fleet, behind: Sequence[tuple[str, Position]]) -> Greeting:
    """Return how clients subscribe: anew, or from positions that they have to catch up from."""
    wanted = [{"room": room, **since._asdict()} for room, since in behind]
    wanted = wanted or [{"room": room} for room in fleet.rooms]
    recovered = '"recovered":true,"publications":[{"offset":' if behind else ""
    return Greeting(
        path="/ws/",
        openings=tuple(json.dumps({"id": 1, "subscribe": each}) for each in wanted),
        steps=(Step(expect='{"id":1,"subscribed":{"room":', contains=recovered),),
    )


PLANS: dict[str, Callable[[], Plan]] = {"rolling": Rolling, "storm": Storm}


def run_rolling(
    measures: Sequence[str], folder: Path, *, rounds: int | None, quick: bool
) -> Iterator[Figure]:
    """Yield the figures of the measures named."""
    for name in measures:
        plan = sized(PLANS[name](), rounds=rounds, quick=quick)
        (folder / name).mkdir(exist_ok=True)
        yield from plan.run(folder / name)


def peak(times: Sequence[float], window: float) -> int:
    """Return how many of these times, in ascending order, lie within one window at most."""
    most = first = 0
    for last, when in enumerate(times):
        while times[first] < when - window:
            first += 1
        most = max(most, last - first + 1)
    return most


def _peak_share(
    restart: tuple[float, int], returns: Sequence[tuple[float, float]], fleet: Fleet
) -> float:
    """Return the peak of the rate at which a worker's clients came back, by the even rate."""
    told, held = restart
    until = told + fleet.drain_seconds + RETURN_WITHIN + 5
    times = sorted(back for left, back in returns if told <= left <= until)
    allowed = max(held / fleet.drain_seconds, LOWEST_RATE)
    return peak(times, 1.0) / allowed


def _latencies(name: str, round: int, found: dict[str, Any], seconds: float) -> Iterator[Figure]:
    for measure, key in ((P50, "p50_ms"), (P99, "p99_ms")):
        yield Figure(
            measure=measure,
            layer=name,
            round=round,
            value=found[key] if found["delivered"] else None,
            unit="ms",
            calls=found["delivered"],
            lost=found["lost"],
            repeated=found["repeated"],
        )
    yield Figure(
        measure=DELIVERIES,
        layer=name,
        round=round,
        value=found["delivered"] / seconds,
        unit="1/s",
        calls=found["delivered"],
    )
