"""`bin/dev` as a person at a terminal runs it: its lines, Ctrl-C, and what is left afterwards."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.error import HTTPError
from urllib.request import urlopen

import psutil

from demo.embedded.ports import LOOPBACK
from tests.waiting import PATIENCE, wait_until

STOP_LIMIT = 10.0  # seconds: what bin/dev promises
STOP_PATIENCE = STOP_LIMIT + 10.0  # seconds: what a loaded machine may make of it
OWN_VARIABLES = ("PORT", "REDIS_URL", "KAFKA_BOOTSTRAP_SERVERS", "DATABASE_URL", "PYTHON", "VENV")


class Session:
    """One run of a command in a checkout, in a session (process group) of its own.

    Leaving the block kills what is left, so that a failed test leaves nothing behind.
    """

    def __init__(self, checkout: Path, *command: str, **variables: str) -> None:
        self._checkout = checkout
        inherited = {name: value for name, value in os.environ.items() if name not in OWN_VARIABLES}
        self.process = subprocess.Popen(
            command or ("bin/dev",),
            cwd=checkout,
            env={**inherited, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._lines: list[str] = []
        self._ended = False
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, name="reader", daemon=True)
        self._reader.start()

    @property
    def output(self) -> str:
        """All lines so far."""
        with self._changed:
            return "".join(self._lines)

    def wait_for(self, text: str) -> None:
        """Wait until a line has this text.

        Raises:
            AssertionError: The command ended without it, or PATIENCE is over.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: any(text in line for line in self._lines) or self._ended,
                PATIENCE,
            )
        assert text in self.output, f"{text!r} did not come in:\n{self.output}"

    def wait_until_serves(self, port: int) -> None:
        """Wait until a port serves pages: a balancer's is open before it has a worker.

        Raises:
            AssertionError: The command ended before, or PATIENCE is over.
        """
        wait_until(lambda: serves(port) or self._ended, within=PATIENCE, what=self.output)
        assert not self._ended, self.output

    def wait(self) -> int:
        """Wait until the command ends and return its exit code."""
        code = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return code

    def press_ctrl_c(self) -> int:
        """Do what a terminal does: SIGINT to the whole process group. Return the exit code."""
        return self._stop(lambda: os.killpg(self.process.pid, signal.SIGINT))

    def terminate(self) -> int:
        """Send SIGTERM to the command alone and return the exit code."""
        return self._stop(self.process.terminate)

    def _stop(self, send: Callable[[], None]) -> int:
        began = time.monotonic()
        send()
        code = self.wait()
        assert time.monotonic() - began < STOP_PATIENCE, self.output
        return code

    def left_behind(self) -> list[psutil.Process]:
        """Return the processes that run in this checkout."""
        return [
            process
            for process in psutil.process_iter(["cwd"])
            if (process.info["cwd"] or "").startswith(str(self._checkout))
        ]

    def leaves_nothing(self) -> None:
        """Wait until no process runs in this checkout any more.

        Raises:
            TimeoutError: One still does after PATIENCE.
        """
        wait_until(lambda: not self.left_behind(), within=PATIENCE)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._changed:
                self._lines.append(line)
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for process in self.left_behind():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.kill()
        self.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


def fetch(port: int, path: str = "/") -> tuple[int, str]:
    """Return status and body of a page."""
    with urlopen(f"http://{LOOPBACK}:{port}{path}", timeout=10) as response:
        return response.status, response.read().decode()


def serves(port: int) -> bool:
    """Say whether a worker answers there, itself or by its balancer."""
    try:
        return fetch(port, "/health/live")[0] == 200
    except HTTPError as error:
        if error.code != 503:  # the balancer's own, while it has no worker
            raise
        return False
    except OSError:
        return False
