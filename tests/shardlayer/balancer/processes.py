"""Balancers and workers as processes."""

from __future__ import annotations

import json
import re
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.server.logged_process import LISTENING, LoggedProcess
from tests.server.process import ServerProcess
from tests.waiting import PATIENCE, wait_until

_HEALTH = re.compile(r"Health on TCP address ([^\s\"]+):(\d+)")


class BalancerProcess(LoggedProcess):
    """`python -m shardlayer.balancer` on any free port.

    Attributes:
        address: Where clients come in.
        path: The socket of the workers.
    """

    def __init__(
        self,
        directory: Path,
        *options: str,
        port: int = 0,
        command: Sequence[str] = (),
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.path = directory / "balancer.sock"
        where = ("--socket", str(self.path), "--port", str(port), "--health-port", "0")
        super().__init__(
            [*(command or (sys.executable, "-m", "shardlayer.balancer")), *where, *options],
            directory / "balancer.log",
            environ=environ,
        )
        self._directory = directory
        self._workers = 0

    def is_up(self) -> bool:
        """Say whether it listens, and note where."""
        found, health = LISTENING.search(self.log), _HEALTH.search(self.log)
        if found is None or health is None:
            return False
        self.address = found[1], int(found[2])
        self._health = health[1], int(health[2])
        return True

    def worker(self, *options: str, open_files: int = 0) -> ServerProcess:
        """Return a worker that joins, as `tests.server.process` has it; it listens nowhere."""
        self._workers += 1
        directory = self._directory / f"worker-{self._workers}"
        directory.mkdir(exist_ok=True)
        name = ("--worker-name", f"worker-{self._workers}")
        join = ("--balancer", str(self.path), *name, "-v", "1", *options)
        return ServerProcess(directory, *join, listens=False, open_files=open_files)

    def ask(self, path: str = "/health", header: str = "") -> tuple[int, dict[str, Any]]:
        """Return status and body of the balancer's health; `header` is one more line."""
        with socket.create_connection(self._health, timeout=PATIENCE) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: test{header}\r\n\r\n".encode())
            with connection.makefile("rb") as answer:
                head, _, body = answer.read().partition(b"\r\n\r\n")
        return int(head.split()[1]), json.loads(body)

    def health(self) -> dict[str, Any]:
        """Return the body of the balancer's health."""
        return self.ask()[1]

    def loads(self) -> dict[str, int]:
        """Return how many connections each worker has."""
        return {worker["name"]: worker["connections"] for worker in self.health()["workers"]}

    def wait_loads(self, **expected: int) -> None:
        """Wait until each worker (underscores for hyphens) has so many connections."""
        wanted = {name.replace("_", "-"): count for name, count in expected.items()}
        wait_until(lambda: self.loads() == wanted, what=f"{wanted}")

    def connect(self) -> socket.socket:
        """Return a client's connection, with a timeout."""
        return socket.create_connection(self.address, timeout=PATIENCE)
