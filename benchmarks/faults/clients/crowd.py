"""All the recording clients, and the slices of what they see."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.faults.clients.gathering import Gathering
from benchmarks.faults.clients.recorder import Recorder
from benchmarks.faults.clients.tally import Tally
from benchmarks.statistics import percentile

_MOVE = 2.0  # seconds after which a client that has not come home is called again


class Crowd(Gathering):
    """What the benchmark may ask of the clients; each method answers what goes into JSON."""

    def __init__(self) -> None:
        super().__init__()
        self._clients: list[Recorder] = []

    async def join(
        self,
        *,
        ports: Sequence[int],
        rooms: Sequence[Sequence[str]],
        sources: Sequence[str],
        seed: int,
        restless: bool,
        patience: float,
    ) -> dict[str, Any]:
        """Start a client for each list of rooms and wait until all are subscribed."""
        for number, names in enumerate(rooms):
            home = number % len(ports)
            client = Recorder(
                ports=[*ports[home:], *ports[:home]],
                rooms=names,
                sources=sources,
                tally=lambda: self._tally,
                chance=random.Random(f"{seed}/{number}"),
                restless=restless,
            )
            self._clients.append(client)
            self._tasks.append(asyncio.create_task(client.run()))
        await self._wait(lambda: all(client.ever_joined for client in self._clients), patience)
        return {"joined": sum(client.ever_joined for client in self._clients)}

    async def begin(self, *, patience: float) -> dict[str, Any]:
        """Begin a slice, with every client at its own worker."""
        deadline = time.monotonic() + patience
        while not all(client.settled for client in self._clients) and time.monotonic() < deadline:
            for client in self._clients:
                client.go_home()
            await self._wait(lambda: all(client.settled for client in self._clients), _MOVE)
        self._tally = Tally(begun=time.monotonic_ns())
        return {"settled": sum(client.settled for client in self._clients)}

    async def mended(self, *, at: int) -> dict[str, Any]:
        """Learn that from a moment on (CLOCK_MONOTONIC, ns) all should be well again soon."""
        self._tally.mended = at
        for client in self._clients:
            for numbers in client.numbers.values():
                numbers.fresh = False
                self._tally.waiting += 1
        return {}

    async def time(self, *, rooms: Sequence[str]) -> dict[str, Any]:
        """Keep the latencies of what comes to these rooms from now on."""
        self._tally.timed = frozenset(rooms)
        return {}

    async def timed(self) -> dict[str, Any]:
        """Stop that, and answer with their 99th percentile."""
        self._tally.timed = frozenset()
        latencies = sorted(self._tally.latencies)
        p99 = percentile(latencies, 99) / 1e6 if latencies else None
        return {"count": len(latencies), "p99_ms": p99}

    async def is_well(self, *, patience: float) -> dict[str, Any]:
        """Wait until everybody has got something of every source that was sent since."""
        await self._wait(lambda: not self._tally.waiting, patience)
        return {"waiting": self._tally.waiting}

    async def collect(
        self, *, ends: Mapping[str, Mapping[str, int]], patience: float
    ) -> dict[str, Any]:
        """Wait for all numbers below `ends[source][room]`, and return the slice's account."""
        sequences = [
            (numbers, ends[source].get(room, 0))
            for client in self._clients
            for (room, source), numbers in client.numbers.items()
        ]
        await self._wait(lambda: all(numbers.complete(end) for numbers, end in sequences), patience)
        tally = self._tally
        for numbers, end in sequences:
            numbers.close(end, tally)
        return tally.account()
