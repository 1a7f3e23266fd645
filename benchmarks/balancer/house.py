"""A balancer and its workers, up while the `with` block runs."""

from __future__ import annotations

import http.client
import json
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.accounting import rss_bytes
from benchmarks.assembly import Assembly
from benchmarks.children import Child
from demo.embedded import free_port
from realtime.loadtest.process_look import cpu_ns

JOIN_PATIENCE = 60.0  # seconds for all workers to join
POLL = 0.05  # seconds

ECHO = "benchmarks.balancer.app:application"


class House(Assembly):
    """One balancer in front of workers; each worker has a port of its own as well.

    Args:
        application: What the workers serve.
        workers: How many.
        cpus: The CPUs that all of them share.
        folder: For the socket and the logs.

    Attributes:
        port: The balancer's.
        worker_ports: The workers' own.
    """

    def __init__(
        self,
        application: str,
        workers: int,
        cpus: frozenset[int],
        folder: Path,
        *,
        environment: Mapping[str, str] | None = None,
        max_connections: int = 0,
    ) -> None:
        self._application = application
        self._count = workers
        self._cpus = cpus
        self._folder = folder
        self._environment = environment
        self._max_connections = max_connections

    def _start(self, stack: ExitStack) -> None:
        path = self._folder / "balancer.sock"
        self.port, self._health = free_port(), free_port()
        self.worker_ports = [free_port() for _ in range(self._count)]

        def child(name: str, *command: str) -> Child:
            made = Child(
                name,
                [sys.executable, "-m", *command],
                cpus=self._cpus,
                folder=self._folder,
                environment=self._environment,
            )
            return stack.enter_context(made)

        self.balancer = child(
            "balancer",
            *("shardlayer.balancer", "--socket", str(path), "--port", str(self.port)),
            *("--health-port", str(self._health)),
            *("--max-connections", str(self._max_connections), "--backlog", "4096"),
        )
        self.balancer.wait_for_port(self._health)
        self.workers = [
            child(
                f"worker-{number}",
                *("shardlayer.server", "-v", "0", "-b", "127.0.0.1", "-p", str(port)),
                *("--balancer", str(path), "--worker-name", f"worker-{number}"),
                self._application,
            )
            for number, port in enumerate(self.worker_ports, 1)
        ]
        deadline = time.monotonic() + JOIN_PATIENCE
        while len(self.health()["workers"]) < self._count:
            if time.monotonic() > deadline:
                raise self.balancer.failure("has not all of its workers")
            time.sleep(POLL)

    def health(self) -> dict[str, Any]:
        """Return what the balancer says of itself."""
        connection = http.client.HTTPConnection("127.0.0.1", self._health, timeout=JOIN_PATIENCE)
        try:
            connection.request("GET", "/health")
            found: dict[str, Any] = json.loads(connection.getresponse().read())
            return found
        finally:
            connection.close()

    def loads(self) -> list[int]:
        """Return how many connections each worker has."""
        return [worker["connections"] for worker in self.health()["workers"]]

    def balancer_cpu(self) -> int:
        """Return the nanoseconds of CPU that the balancer has used."""
        return cpu_ns(self.balancer.pid)

    def rss(self) -> int:
        """Return the resident memory of the balancer and of all workers, in bytes."""
        return sum(rss_bytes(child.pid) for child in (self.balancer, *self.workers))
