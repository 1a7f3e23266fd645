"""Balancers and workers as processes."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.server.process import ROOT, ServerProcess
from tests.waiting import wait_until

PATIENCE = 40  # seconds; two cores may have much else to do

_LISTENING = re.compile(r"Listening on TCP address (\S+):(\d+)")
_HEALTH = re.compile(r"Health on TCP address (\S+):(\d+)")


class BalancerProcess:
    """`python -m shardlayer.balancer` on any free port.

    Attributes:
        address: Where clients come in.
        path: The socket of the workers.
    """

    def __init__(
        self, directory: Path, *options: str, port: int = 0, command: Sequence[str] = ()
    ) -> None:
        self.path = directory / "balancer.sock"
        self._command = command or (sys.executable, "-m", "shardlayer.balancer")
        self._options = (
            *("--socket", str(self.path), "--port", str(port), "--health-port", "0"),
            *options,
        )
        self._log = directory / "balancer.log"
        self._directory = directory
        self._workers = 0

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [*self._command, *self._options],
                cwd=ROOT,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(os.environ),
            )
        try:
            wait_until(self._listens, within=PATIENCE)
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _listens(self) -> bool:
        if self.process.poll() is not None:
            raise RuntimeError(f"The balancer did not start:\n{self.log}")
        found, health = _LISTENING.search(self.log), _HEALTH.search(self.log)
        if found is None or health is None:
            return False
        self.address = found[1], int(found[2])
        self._health = health[1], int(health[2])
        return True

    @property
    def log(self) -> str:
        """All that the balancer has written."""
        return self._log.read_text()

    def errors(self) -> list[str]:
        """The lines of the log that tell of something unexpected."""
        return [
            line for line in self.log.splitlines() if re.search("ERROR|WARNING|Traceback", line)
        ]

    def worker(self, *options: str) -> ServerProcess:
        """Return a worker that joins, as `tests.server.process` has it; it listens nowhere."""
        self._workers += 1
        directory = self._directory / f"worker-{self._workers}"
        directory.mkdir(exist_ok=True)
        name = ("--worker-name", f"worker-{self._workers}")
        join = ("--balancer", str(self.path), *name, "-v", "1", *options)
        return ServerProcess(directory, *join, listens=False)

    def ask(self, path: str = "/health") -> tuple[int, dict[str, Any]]:
        """Return status and body of the balancer's health."""
        with socket.create_connection(self._health, timeout=PATIENCE) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
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

    def stop(self) -> int:
        """Ask it to stop, and return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
