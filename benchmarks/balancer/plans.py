"""The measures of `balancer`."""

from __future__ import annotations

import os
import random
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from benchmarks.balancer.crowd import Crowd
from benchmarks.balancer.haproxy import found_haproxy, haproxy
from benchmarks.balancer.house import ECHO, House
from benchmarks.children import Child, Servant
from benchmarks.layer.figures import Figure
from benchmarks.machine import Placement
from benchmarks.plans import sized
from benchmarks.swarm.client import upgrade_request
from demo.embedded import free_port
from realtime.loadtest.process_look import cpu_ns

CPU = "CPU per connection that carries 10 messages"
FRESH = "fresh connections"
LATENCY = "a connect, p50"
ARRIVALS = "largest difference of load, arrivals alone"
DEPARTURES = "largest difference of load, half of all that happens are departures"
MEAN = "mean difference of load, half of all that happens are departures"
OURS, HAPROXY, STOCK, DIRECT = "balancer", "HAProxy", "stock Daphne", "the worker's own port"

PATIENCE = 300.0  # seconds
SETTLED = 0.3  # seconds after which the workers have told how many connections they hold


class _Callers(Servant):
    """The process of the clients."""

    def __init__(self, cpus: frozenset[int], folder: Path) -> None:
        super().__init__("callers", ["benchmarks.balancer.callers"], cpus=cpus, folder=folder)

    def call(self, port: int, count: int, at_once: int, messages: int) -> dict[str, Any]:
        return self.ask(
            "call", PATIENCE, port=port, count=count, at_once=at_once, messages=messages
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyCPU:
    """The same workers, behind the balancer and behind HAProxy in turns."""

    count: int = 2000
    at_once: int = 20
    messages: int = 10
    rounds: int = 7

    def quick(self) -> Self:
        """Return the same for a look whether all of it works."""
        return replace(self, count=100, rounds=1)

    def run(self, placement: Placement, folder: Path) -> Iterator[Figure]:
        """Yield the figures of all rounds; without HAProxy only ours."""
        cpus = placement.server | placement.others
        with ExitStack() as stack:
            house = stack.enter_context(House(ECHO, 2, cpus, folder))
            callers = stack.enter_context(_Callers(cpus, folder))
            turns: list[tuple[str, Child, int]] = [(OURS, house.balancer, house.port)]
            if program := found_haproxy():
                proxy = haproxy(program, house.worker_ports, cpus, folder)
                turns.append((HAPROXY, *stack.enter_context(proxy)))
            for round in range(self.rounds + 1):
                for name, child, port in turns if round % 2 else reversed(turns):
                    before = cpu_ns(child.pid)
                    answer = callers.call(port, self.count, self.at_once, self.messages)
                    time.sleep(SETTLED)
                    if round:  # the first one warms up
                        yield Figure(
                            measure=CPU,
                            layer=name,
                            round=round,
                            value=(cpu_ns(child.pid) - before) / self.count / 1e3,
                            unit="µs",
                            calls=self.count,
                            lost=answer["failed"],
                        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FreshConnections:
    """Clients that connect and leave, as fast as it goes, on all CPUs of the machine."""

    count: int = 5000
    at_once: int = 32  # fewer than the 50 that may wait at stock Daphne's port
    rounds: int = 5

    def quick(self) -> Self:
        """Return the same for a look whether all of it works."""
        return replace(self, count=200, rounds=1)

    def run(self, placement: Placement, folder: Path) -> Iterator[Figure]:
        """Yield the figures of all rounds."""
        cpus = placement.server | placement.others
        with ExitStack() as stack:
            house = stack.enter_context(House(ECHO, 2, cpus, folder))
            callers = stack.enter_context(_Callers(cpus, folder))
            port = free_port()
            command = ["daphne", "-v", "0", "-b", "127.0.0.1", "-p", str(port), ECHO]
            stock = Child("stock", [sys.executable, "-m", *command], cpus=cpus, folder=folder)
            stack.enter_context(stock).wait_for_port(port)
            turns = [(OURS, house.port), (STOCK, port)]
            for round in range(self.rounds + 1):
                for name, where in turns if round % 2 else reversed(turns):
                    answer = callers.call(where, self.count, self.at_once, 0)
                    time.sleep(SETTLED)
                    if round:
                        yield Figure(
                            measure=FRESH,
                            layer=name,
                            round=round,
                            value=self.count / answer["seconds"],
                            unit="connections/s",
                            calls=self.count,
                            lost=answer["failed"],
                        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectLatency:
    """One client after another, to a worker's own port and through the balancer in turns."""

    count: int = 500
    rounds: int = 5

    def quick(self) -> Self:
        """Return the same for a look whether all of it works."""
        return replace(self, count=20, rounds=1)

    def run(self, placement: Placement, folder: Path) -> Iterator[Figure]:
        """Yield the figures of all rounds."""
        cpus = placement.server | placement.others
        with (
            House(ECHO, 2, cpus, folder) as house,
            _Callers(cpus, folder) as callers,
        ):
            ports = [house.port, house.worker_ports[0]]
            for round in range(self.rounds + 1):
                answer = callers.ask("latencies", PATIENCE, ports=ports, count=self.count)
                for name, value in zip((OURS, DIRECT), answer["p50_ms"], strict=True):
                    if round:
                        yield Figure(
                            measure=LATENCY,
                            layer=name,
                            round=round,
                            value=value,
                            unit="ms",
                            calls=self.count,
                        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadDifference:
    """How far apart three workers are, one connection after another."""

    arrivals: int = 600
    steps: int = 2000
    rounds: int = 3

    def quick(self) -> Self:
        """Return the same for a look whether all of it works."""
        return replace(self, arrivals=30, steps=60, rounds=1)

    def run(self, placement: Placement, folder: Path) -> Iterator[Figure]:
        """Yield the figures of all rounds."""
        cpus = placement.server | placement.others
        with House(ECHO, 3, cpus, folder) as house:
            for round in range(1, self.rounds + 1):
                clients: list[socket.socket] = []
                largest = 0
                for number in range(self.arrivals):
                    clients.append(self._open(house.port))
                    if number % 10 == 0:
                        largest = max(largest, difference(house.loads()))
                yield self._figure(ARRIVALS, round, largest, self.arrivals)
                chance = random.Random(round)
                differences = []
                for number in range(self.steps):
                    if clients and chance.random() < 0.5:
                        clients.pop(chance.randrange(len(clients))).close()
                    else:
                        clients.append(self._open(house.port))
                    if number % 10 == 0:
                        differences.append(difference(house.loads()))
                yield self._figure(DEPARTURES, round, max(differences), self.steps)
                mean = sum(differences) / len(differences)
                yield self._figure(MEAN, round, mean, self.steps)
                for client in clients:
                    client.close()
                while sum(house.loads()):
                    time.sleep(SETTLED)

    def _open(self, port: int) -> socket.socket:
        client = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        client.sendall(upgrade_request("/", port))
        if not client.recv(4096).startswith(b"HTTP/1.1 101 "):
            raise ConnectionError("not accepted")
        return client

    def _figure(self, measure: str, round: int, value: float, calls: int) -> Figure:
        return Figure(measure=measure, layer=OURS, round=round, value=value, unit="", calls=calls)


def difference(loads: Sequence[int]) -> int:
    """Return how far apart the most and the least loaded worker are."""
    return max(loads) - min(loads)


Plan = ProxyCPU | FreshConnections | ConnectLatency | LoadDifference | Crowd

PLANS: Mapping[str, Callable[[], Plan]] = {
    "cpu": ProxyCPU,
    "fresh": FreshConnections,
    "latency": ConnectLatency,
    "load": LoadDifference,
    "12000": lambda: Crowd(clients=12_000, workers=2),
    "50000": lambda: Crowd(clients=50_000, workers=4, rounds=1),
}
"""What can be asked for."""


def run_balancer(
    names: Sequence[str], folder: Path, *, rounds: int | None, quick: bool
) -> Iterator[Figure]:
    """Yield the figures of all rounds of all measures: see `benchmarks.plans.sized`."""
    placement = Placement.of_machine()
    for name in names:
        plan = sized(PLANS[name](), rounds=rounds, quick=quick)
        here = folder / name
        os.mkdir(here)
        yield from plan.run(placement, here)
