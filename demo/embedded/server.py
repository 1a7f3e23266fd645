"""What the embedded servers have in common: one child process on one loopback port."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import threading
import time
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import IO, ClassVar, Self

from demo.embedded.lifeline import end_with_parent
from demo.embedded.ports import LOOPBACK, free_port, is_free
from demo.embedded.private import make_private_folder

START_TIMEOUT = 60.0  # seconds; a loaded machine, or a large append-only file to read
STOP_TIMEOUT = 5.0  # seconds from SIGTERM to SIGKILL
POLL_INTERVAL = 0.01  # seconds
PORT_ATTEMPTS = 5  # how often a port that was free a moment ago is replaced by another
LOG_LINES = 10  # of the server's last output, shown in an error


class EmbeddedServerError(RuntimeError):
    """The server could not be started; the message holds its last lines."""


class EmbeddedServer(ABC):
    """One server process in a folder of its own, listening on loopback only.

    It can be started and stopped any number of times and keeps its port, so that a test can
    restart it under its clients. Others are not given a port that it chose, while it is down
    neither (Linux). As a context manager it is up inside the block. Started by a main thread it
    also ends when this process is killed (Linux).

    Args:
        directory: Where it keeps its data; made if it does not exist. Only its owner may enter it.
        port: Where it listens; by default one that is free at the first start.
        log: Where its output goes; by default to `server.log` in the directory.
    """

    name: ClassVar[str]  # what a person calls it
    start_timeout: ClassVar[float] = START_TIMEOUT
    stop_timeout: ClassVar[float] = STOP_TIMEOUT
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    orphan_signal: ClassVar[signal.Signals] = signal.SIGTERM  # what ends it after its owner
    user: str | None = None  # who runs it; None: whoever runs this

    def __init__(
        self, *, directory: Path, port: int | None = None, log: IO[bytes] | None = None
    ) -> None:
        self.directory = directory
        self._port = port
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self, port: int) -> list[str]:
        """Return the program and its arguments."""

    @abstractmethod
    def is_up(self) -> bool:
        """Say whether the server answers."""

    def prepare(self) -> None:  # noqa: B027 - most servers need nothing
        """Bring the directory into the state that the server is to find; called at each start."""

    @property
    def port(self) -> int:
        """Where it listens.

        Raises:
            EmbeddedServerError: No port was given, and it was not started yet.
        """
        if self._port is None:
            raise EmbeddedServerError(f"{self.name} has no port before its first start.")
        return self._port

    @property
    def address(self) -> str:
        """Its host:port."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process else None

    @property
    def log_path(self) -> Path:
        """Where its output is, unless `log` was given."""
        return self.directory / "server.log"

    def start(self) -> None:
        """Start it and return once it answers.

        Raises:
            EmbeddedServerError: It is running already, its port is taken, it ended, it does not
                answer within `start_timeout`, or its wheel is not installed.
        """
        if self._process is not None:
            raise EmbeddedServerError(f"{self.name} is running already.")
        make_private_folder(self.directory)
        chosen = self._port
        for attempt in range(1, PORT_ATTEMPTS + 1):
            self._port = chosen or free_port(self)
            try:
                self._spawn()
                self._wait_until_up()
            except EmbeddedServerError:
                self.kill()
                if chosen is None and attempt < PORT_ATTEMPTS:
                    continue  # somebody took the port first
                self._port = chosen
                raise
            return

    def stop(self) -> None:
        """End it with `stop_signal`, after `stop_timeout` with SIGKILL; nothing when it is down."""
        if self._process is None:
            return
        self._process.send_signal(self.stop_signal)
        try:
            self._process.wait(self.stop_timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def kill(self) -> None:
        """End it at once, as a crash would. Does nothing when it is down."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def wait(self) -> int:
        """Wait until the server ends by itself and return its exit code."""
        if self._process is None:
            raise EmbeddedServerError(f"{self.name} is not running.")
        code = self._process.wait()
        self._process = None
        return code

    def _spawn(self) -> None:
        if not is_free(self.port):  # else the answer of whoever has it would pass for ours
            raise EmbeddedServerError(f"Port {self.port} is taken; {self.name} was to have it.")
        self.prepare()
        command = self.command(self.port)
        in_main_thread = threading.current_thread() is threading.main_thread()
        lifeline = functools.partial(end_with_parent, os.getpid(), self.orphan_signal)
        log = self._log or self.log_path.open("wb")
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                command,
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Its own group: Ctrl-C in a terminal reaches it through its owner, in order.
                process_group=0,
                user=self.user,
                preexec_fn=lifeline if in_main_thread else None,
            )
        finally:
            if log is not self._log:
                log.close()

    def _wait_until_up(self) -> None:
        deadline = time.monotonic() + self.start_timeout
        process = self._process
        while process is not None and process.poll() is None:
            if self.is_up():
                return
            if time.monotonic() > deadline:
                raise EmbeddedServerError(
                    f"{self.name} does not answer on {self.address} after "
                    f"{self.start_timeout:.0f} s."
                    f"{self._last_lines()}"
                )
            time.sleep(POLL_INTERVAL)
        raise EmbeddedServerError(f"{self.name} ended while starting.{self._last_lines()}")

    def _last_lines(self) -> str:
        if self._log is not None or not self.log_path.exists():
            return ""
        lines = self.log_path.read_text(errors="replace").splitlines()
        return "".join(f"\n  {line}" for line in lines[-LOG_LINES:])

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
