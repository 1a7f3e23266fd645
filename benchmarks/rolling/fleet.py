"""The workers of one machine behind the balancer, their Redis, a publisher and the visitors."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from benchmarks.assembly import Assembly
from benchmarks.children import Child, Servant
from benchmarks.faults.sources.base import LAYER
from benchmarks.peers.ours.peer import OURS
from benchmarks.swarm_process import start_swarm
from benchmarks.valkey import valkey
from demo.embedded import free_port
from realtime.loadtest.process_look import cpu_ns
from shardlayer import Position, ShardedChannelLayer

WORKERS = 4
_START = 60.0  # seconds
_ANSWER = 30.0  # seconds
_ARRIVED = 30.0  # seconds for what is on its way to the clients
_POLL = 0.05  # seconds


class Fleet(Assembly):
    """The processes, up while the `with` block runs. They share all CPUs, as in production.

    Args:
        folder: For logs and the balancer's socket.
        clients: How many visitors there are, dealt over the rooms; 0: none.
        rooms: How many.
        rate: Messages a second to each room.
        drain_seconds: Of the workers.
        seed: Decides what the clients leave to chance.
    """

    def __init__(
        self,
        folder: Path,
        *,
        clients: int,
        rooms: int,
        rate: float,
        drain_seconds: float,
        seed: int = 1,
    ) -> None:
        self.clients = clients
        self.rooms = [f"room-{number}" for number in range(rooms)]
        self.drain_seconds = drain_seconds
        self._rate = rate
        self._folder = folder
        self._seed = seed
        self._cpus = frozenset(os.sched_getaffinity(0))

    def _start(self, stack: ExitStack) -> None:
        self._stack = stack
        self._redis, url = stack.enter_context(valkey("rolling-valkey", self._cpus, self._folder))
        self._socket = self._folder / "balancer.sock"
        self._environment = {**OURS.environment, "REDIS_URL": url}
        self.port = free_port()
        command = [sys.executable, "-m", "shardlayer.balancer", "--port", str(self.port)]
        self._balancer = self._child("balancer", [*command, "--socket", str(self._socket)])
        self._balancer.wait_for_port(self.port, _START)
        self._ports = [free_port() for _ in range(WORKERS)]
        self.workers = [self._worker(number) for number in range(WORKERS)]
        for number in range(WORKERS):
            self._wait_until_ready(number)
        flow = {"rooms": self.rooms, "rate": self._rate, "group": len(self.rooms)}
        instructions = {"name": LAYER, "arguments": {"keys": False}, "flow": flow}
        self._source = self._servant(
            "source", "benchmarks.faults.sources", json.dumps(instructions)
        )
        self._visitors: Servant | None = None
        if self.clients:
            self._visit()

    def _visit(self) -> None:
        self._visitors = self._servant("visitors", "benchmarks.rolling.visitors")
        answer = self._visitors.ask(
            "join",
            _START + _ANSWER,
            port=self.port,
            rooms=[self.rooms[number % len(self.rooms)] for number in range(self.clients)],
            source=LAYER,
            seed=self._seed,
            patience=_START,
        )
        self._expect_all(answer)

    def _child(self, name: str, command: Sequence[str]) -> Child:
        return self._stack.enter_context(
            Child(
                name,
                command,
                cpus=self._cpus,
                folder=self._folder,
                environment=self._environment,
            )
        )

    def _servant(self, name: str, *module: str) -> Servant:
        return self._stack.enter_context(
            Servant(
                name,
                module,
                cpus=self._cpus,
                folder=self._folder,
                environment=self._environment,
            )
        )

    def _worker(self, number: int) -> Child:
        name, port = f"worker-{number + 1}", str(self._ports[number])
        command = [sys.executable, "-m", "shardlayer.server", "-v", "0"]
        command += ["-b", "127.0.0.1", "-p", port, "--balancer", str(self._socket)]
        command += ["--worker-name", name, "--drain-seconds", str(self.drain_seconds)]
        # All clients come from one address.
        command += ["--address-connections", "0", "--address-handshake-rate", "0"]
        return self._child(name, [*command, "config.asgi:application"])

    def health(self, number: int) -> dict[str, Any]:
        """Return what a worker says of itself; nothing while it does not."""
        connection = HTTPConnection("127.0.0.1", self._ports[number], timeout=_ANSWER)
        try:
            connection.request("GET", "/health")
            answer: dict[str, Any] = json.loads(connection.getresponse().read())
            return answer
        except (OSError, HTTPException, ValueError):
            return {}
        finally:
            connection.close()

    def ask_health(self, seconds: float) -> list[float]:
        """Ask the workers' health in turns for a while; return how long each answer took, in ms."""
        until, took = time.monotonic() + seconds, []
        number = 0
        while time.monotonic() < until:
            began = time.monotonic()
            if self.health(number % WORKERS):
                took.append((time.monotonic() - began) * 1e3)
            number += 1
            time.sleep(_POLL)
        return took

    def _wait_until_ready(self, number: int) -> None:
        deadline = time.monotonic() + _START
        while self.health(number).get("status") != "ready":
            if time.monotonic() > deadline:
                raise self.workers[number].failure("is not ready")
            time.sleep(_POLL)

    def _expect_all(self, answer: dict[str, Any]) -> None:
        if answer["here"] != self.clients:
            raise self.workers[0].failure(f"{answer['here']} of {self.clients} clients are here")

    def swarm(self, name: str) -> Servant:
        """Return a process for clients that cost little, and do nothing but subscribe."""
        clients, _ = start_swarm(self._stack, name, cpus=self._cpus, folder=self._folder)
        return clients

    def cpu_seconds(self) -> float:
        """Return what the workers, the balancer and Redis have used so far."""
        servers = [self._redis, self._balancer, *self.workers]
        return sum(cpu_ns(server.pid) for server in servers) / 1e9

    def positions(self) -> list[tuple[str, Position]]:
        """Return where each room is."""

        async def ask() -> list[tuple[str, Position]]:
            layer = ShardedChannelLayer(hosts=[self._environment["REDIS_URL"]])
            try:
                infos = [await layer.room_info(room) for room in self.rooms]
            finally:
                await layer.close()
            return [(info.room, Position(info.offset, info.epoch)) for info in infos]

        return asyncio.run(ask())

    def begin(self) -> None:
        """Begin to publish and to count."""
        if self._visitors is not None:
            self._visitors.ask("begin", _ANSWER, rooms=self.rooms)
        self._source.ask("begin", _ANSWER)

    def restart(self, number: int) -> tuple[float, int]:
        """Have a worker end in peace, and start it again.

        Returns:
            When it was told to (CLOCK_MONOTONIC, seconds), and how many clients it had.
        """
        held = int(self.health(number)["connections"]) - 1  # without the one that asks
        worker, told = self.workers[number], time.monotonic()
        os.kill(worker.pid, signal.SIGTERM)
        code = worker.wait(self.drain_seconds + _ANSWER)
        if code != 0:
            raise worker.failure(f"ended with {code}")
        self.workers[number] = self._worker(number)
        self._wait_until_ready(number)
        if self._visitors is not None:
            self._expect_all(self._visitors.ask("settle", _START + _ANSWER, patience=_START))
        return told, held

    def end(self) -> dict[str, Any]:
        """Stop publishing, wait for what is under way, and return what the clients counted."""
        sent = self._source.ask("end", 2 * _ANSWER, patience=_ANSWER)
        if self._visitors is None:
            return sent
        found = self._visitors.ask(
            "collect", _ARRIVED + _ANSWER, ends=sent["ends"], patience=_ARRIVED
        )
        return {**sent, **found}
