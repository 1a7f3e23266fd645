"""A process of the project, run as a person runs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from demo.embedded.ports import answers
from tests.waiting import PATIENCE, wait_until

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


def manage(*arguments: str) -> list[str]:
    """Return the command line of a management command."""
    return [sys.executable, "manage.py", *arguments]


def run_manage(
    *arguments: str, environ: Mapping[str, str], timeout: float = 60.0
) -> subprocess.CompletedProcess[str]:
    """Run a management command to its end, whatever that is.

    Args:
        environ: Variables beside PATH; nothing else is inherited.
        timeout: Seconds.
    """
    return subprocess.run(
        manage(*arguments),
        cwd=ROOT,
        env=_environment(environ),
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def _environment(own: Mapping[str, str]) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "SHARDLAYER_DEMO": "0",  # somebody may have started one in this checkout
        **own,
    }


class Process:
    """A child process; as a context manager it runs inside the block and is stopped after it.

    Args:
        command: The program and its arguments.
        log: Where its output goes.
        environ: Variables beside PATH; nothing else is inherited.
    """

    def __init__(self, command: list[str], *, log: Path, **environ: str) -> None:
        self._command = command
        self._log = log
        self._environ = _environment({"PYTHONUNBUFFERED": "1", **environ})
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command, cwd=ROOT, env=self._environ, stdout=log, stderr=subprocess.STDOUT
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Its number."""
        assert self._process is not None
        return self._process.pid

    def output(self) -> str:
        """Return all that it has written."""
        return self._log.read_text()

    def says(self, words: str) -> None:
        """Wait until it has written these words."""
        wait_until(lambda: words in self.output() or not self.runs())
        assert words in self.output(), self.output()

    def serves(self, port: int) -> None:
        """Wait until a loopback port takes connections."""
        wait_until(lambda: answers(port) or not self.runs())
        assert self.runs(), self.output()

    def runs(self) -> bool:
        """Return whether it is still there."""
        assert self._process is not None
        return self._process.poll() is None

    def listens_on(self, port: int) -> bool:
        """Return whether it is this process that listens on a TCP port."""
        assert self._process is not None
        try:
            connections = psutil.Process(self._process.pid).net_connections("tcp")
        except psutil.NoSuchProcess:
            return False
        return any(
            connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
            for connection in connections
        )

    def send(self, number: int) -> None:
        """Send a signal and go on."""
        assert self._process is not None
        self._process.send_signal(number)

    def wait(self, within: float = PATIENCE) -> int:
        """Wait for the end and return the exit code."""
        assert self._process is not None
        return self._process.wait(within)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, wait for the end and return the exit code; kill what does not end."""
        assert self._process is not None
        if self.runs():
            self._process.send_signal(number)
        try:
            return self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise
