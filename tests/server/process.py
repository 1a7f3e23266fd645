"""A server in a process of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]

START_TIMEOUT = 40.0  # seconds; two cores may have much else to do

_LISTENING = re.compile(r"Listening on TCP address (\S+):(\d+)")


class ServerProcess:
    """`python -m shardlayer.server` with the given options, which name where it listens.

    Attributes:
        address: Where to connect: host and port, or the path of a Unix socket.
    """

    def __init__(
        self,
        directory: Path,
        *options: str,
        descriptor: int | None = None,
        environ: Mapping[str, str] | None = None,
        listens: bool = True,
        application: str = "tests.server.application:application",
    ) -> None:
        self._application = application
        self._options = options
        self._environ = environ or {}
        self._log = directory / "server.log"
        self._descriptor = descriptor
        self._is_to_listen = listens
        self.address: tuple[str, int] | str = ""

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "shardlayer.server", *self._options]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, self._application],
                cwd=ROOT,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self._environ},
                pass_fds=() if self._descriptor is None else (self._descriptor,),
            )
        try:
            wait_until(self._listens, within=START_TIMEOUT)
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
            raise RuntimeError(f"The server did not start:\n{self.log}")
        if not self._is_to_listen:
            return True
        if "-u" in self._options:
            self.address = self._options[self._options.index("-u") + 1]
            return self._accepts()  # the file is there before anybody listens
        found = _LISTENING.search(self.log)
        if found:
            self.address = found[1], int(found[2])
        return found is not None

    def _accepts(self) -> bool:
        try:
            self.connect().close()
        except OSError:
            return False
        return True

    @property
    def log(self) -> str:
        """All that the server has written, its access log included."""
        return self._log.read_text()

    def errors(self) -> list[str]:
        """The lines of the log that tell of something unexpected."""
        return [
            line
            for line in self.log.splitlines()
            if re.search(r"ERROR|CRITICAL|WARNING|Traceback|Unhandled|Warning:", line)
        ]

    def state(self) -> dict[str, Any]:
        """What the application of the tests knows."""
        return json.loads(self.get("/state"))  # type: ignore[no-any-return]

    def get(self, path: str) -> bytes:
        """Return the body of the answer to a GET request."""
        with self.connect() as connection:
            connection.sendall(b"GET %b HTTP/1.0\r\n\r\n" % path.encode())
            with connection.makefile("rb") as answer:
                return answer.read().partition(b"\r\n\r\n")[2]

    def connect(self, *, receive_buffer: int = 0) -> socket.socket:
        """Return a socket that is connected to the server, with a timeout."""
        family = socket.AF_UNIX if isinstance(self.address, str) else socket.AF_INET
        connection = socket.socket(family)
        connection.settimeout(20)
        if receive_buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            connection.connect(self.address)
        except OSError:
            connection.close()
            raise
        return connection

    def stop(self) -> int:
        """Ask the server to stop, and return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
