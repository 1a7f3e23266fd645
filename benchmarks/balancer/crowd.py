"""Many clients with a subscription behind one port: are all in, and does each get what is sent?"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from benchmarks.balancer.house import House
from benchmarks.children import Servant
from benchmarks.layer.figures import Figure
from benchmarks.machine import Placement, raise_descriptor_limit
from benchmarks.peers.base import REDIS_URL
from benchmarks.peers.ours.peer import OURS as PEER
from benchmarks.swarm_process import open_clients
from benchmarks.valkey import valkey

OF_A_PROCESS = 12_500  # clients, at most: a process has so many descriptors, an address ports
WARM_UP = 200  # clients that come before memory is looked at
AT_ONCE = 64
PATIENCE = 900.0  # seconds for all to come
ARRIVAL = 60.0  # seconds for a message to reach all
SIZE = 200  # bytes of a message


def measures_of(clients: int) -> tuple[str, str]:
    """Return the names of what is measured: who got the message, and memory."""
    return f"{clients:,} clients: broadcasts that arrived", f"{clients:,} clients: memory of each"


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """Clients come through the balancer, subscribe to one room and wait for one message.

    Each process of clients has a loopback address of its own.
    """

    clients: int
    workers: int
    rounds: int = 2

    def quick(self) -> Self:
        """Return the same for a look whether all of it works."""
        return replace(self, clients=self.clients // 100, rounds=1)

    def run(self, placement: Placement, folder: Path) -> Iterator[Figure]:
        """Yield the figures of all rounds."""
        for round in range(1, self.rounds + 1):
            yield from self._round(round, placement.server | placement.others, folder)

    def _round(self, round: int, cpus: frozenset[int], folder: Path) -> Iterator[Figure]:
        raise_descriptor_limit(OF_A_PROCESS + WARM_UP)
        with ExitStack() as stack:
            _, url = stack.enter_context(valkey("valkey", cpus, folder))
            environment = {**PEER.environment, REDIS_URL: url}
            house = stack.enter_context(
                House(
                    PEER.command[-1],
                    self.workers,
                    cpus,
                    folder,
                    environment=environment,
                    max_connections=self.clients + WARM_UP,
                )
            )
            acks_read, acks_write = os.pipe()
            stack.callback(os.close, acks_read)
            stack.callback(os.close, acks_write)
            swarms = [
                stack.enter_context(
                    Servant(
                        f"clients-{number}",
                        ["benchmarks.swarm", str(acks_write)],
                        cpus=cpus,
                        folder=folder,
                        pass_fds=[acks_write],
                    )
                )
                for number in range(-(-self.clients // OF_A_PROCESS))
            ]
            publisher = stack.enter_context(
                Servant(
                    "publisher",
                    ["benchmarks.publisher", str(PEER.emitter), str(acks_read)],
                    cpus=cpus,
                    folder=folder,
                    environment=environment,
                    pass_fds=[acks_read],
                )
            )
            self._open(swarms[0], house.port, 0, WARM_UP)
            small = house.rss()
            left = self.clients
            for number, swarm in enumerate(swarms):
                count = min(left, OF_A_PROCESS)
                self._open(swarm, house.port, number, count)
                left -= count
            memory = (house.rss() - small) / self.clients / 1024
            for swarm in swarms:
                swarm.ask("expect", PATIENCE, first=1, burst=0)
            publisher.ask("steadily", ARRIVAL, first=1, size=SIZE, rate=1.0, seconds=1.0)
            arrived = [
                swarm.ask("collect", ARRIVAL + 5, published=1, timeout=ARRIVAL) for swarm in swarms
            ]
            received = sum(int(each["received"]) for each in arrived)
            held = sum(house.loads())
        arrivals, kilobytes = measures_of(self.clients)
        total = self.clients + WARM_UP
        yield Figure(
            measure=arrivals,
            layer="balancer",
            round=round,
            value=float(received),
            unit="",
            calls=held,
            lost=total - received,
        )
        yield Figure(
            measure=kilobytes, layer="balancer", round=round, value=memory, unit="KB", calls=total
        )

    def _open(self, swarm: Servant, port: int, number: int, count: int) -> None:
        open_clients(
            swarm,
            count,
            port=port,
            greeting=PEER.greeting,
            at_once=AT_ONCE,
            timeout=PATIENCE,
            source=f"127.0.0.{number + 1}",
        )
