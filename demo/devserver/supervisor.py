"""Supervisor (PyPI) as the process manager: its configuration, and the running daemon."""

from __future__ import annotations

import functools
import hashlib
import http.client
import os
import subprocess
import sys
import tempfile
import time
import xmlrpc.client
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from supervisor.xmlrpc import SupervisorTransport

from demo.devserver.errors import DevServerError
from demo.devserver.processes import kill_tree
from demo.devserver.procfile import worker_number
from demo.embedded.lifeline import end_with_parent

START_TIMEOUT = 60.0  # seconds, on a loaded machine, until the daemon answers
STOP_TIMEOUT = 9.0  # seconds for all parts to end before what is left is killed
POLL_INTERVAL = 0.05  # seconds
LONGEST_SOCKET_PATH = 90  # bytes: the kernel's limit is 104 (macOS), Supervisor appends a pid

CONFIGURATION = Path("var/supervisord.conf")
LOGS = Path("var/log")


@dataclass(frozen=True, slots=True, kw_only=True)
class PartState:
    """What Supervisor says of one part; it does not keep the exit code of one that ended early."""

    name: str
    state: str  # STARTING, RUNNING, BACKOFF, STOPPING, EXITED, FATAL, STOPPED
    pid: int  # 0 when it does not run

    @property
    def ended(self) -> bool:
        """Whether it ended by itself and is not (yet) started again."""
        return self.state in {"BACKOFF", "EXITED", "FATAL"}


class Supervisor:
    """One supervisord in the foreground, owned by this process.

    The current directory must be the project's. When this process is killed, the daemon gets
    SIGTERM from the kernel (Linux) and stops the parts in order.
    """

    def __init__(self, configuration: str, environment: Mapping[str, str]) -> None:
        self._configuration = configuration
        self._environment = dict(environment)
        self._daemon: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the daemon, and no part yet.

        Raises:
            DevServerError: It ended, or does not answer within START_TIMEOUT.
        """
        CONFIGURATION.write_text(self._configuration)
        output = LOGS / "supervisord.out"
        with output.open("wb") as out:
            self._daemon = subprocess.Popen(  # noqa: S603 - our own command
                [sys.executable, "-m", "supervisor.supervisord", "-n", "-s", "-c", CONFIGURATION],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C in the terminal is for bin/dev alone
                preexec_fn=functools.partial(end_with_parent, os.getpid()),
            )
        deadline = time.monotonic() + START_TIMEOUT
        while self._daemon.poll() is None and time.monotonic() < deadline:
            if self._answers():
                return
            time.sleep(POLL_INTERVAL)
        raise DevServerError(f"Supervisor did not start: {output.read_text()[-2000:].strip()}")

    def start_part(self, name: str) -> None:
        """Start one part, and do not wait for it."""
        _rpc().startProcess(_process_name(name), False)

    def states(self) -> list[PartState]:
        """Return the state of each part.

        Raises:
            DevServerError: The daemon is gone.
        """
        try:
            listed = _rpc().getAllProcessInfo()
        except (OSError, http.client.HTTPException) as error:
            raise DevServerError(
                f"Supervisor is gone; {LOGS / 'supervisord.log'} may say why."
            ) from error
        return [
            PartState(
                name=one["name"],
                state=one["statename"],
                pid=one["pid"],
            )
            for one in listed
        ]

    def stop(self) -> None:
        """Stop the parts in order and the daemon; kill what is left after STOP_TIMEOUT."""
        if self._daemon is None:
            return
        self._daemon.terminate()
        deadline = time.monotonic() + STOP_TIMEOUT
        while self._daemon.poll() is None:
            if time.monotonic() > deadline:
                kill_tree(self._daemon.pid)
                self._daemon.wait()
                break
            # Asking wakes it: by itself it sees only once a second that a part has ended.
            self._answers()
            time.sleep(POLL_INTERVAL)
        self._daemon = None
        socket_path().unlink(missing_ok=True)

    def _answers(self) -> bool:
        try:
            _rpc().getState()
        except (OSError, http.client.HTTPException):
            return False
        except xmlrpc.client.Fault:  # it is shutting down
            return True
        return True


def socket_path() -> Path:
    """Return where Supervisor's socket is: in var/, unless that path is too long for a socket."""
    path = Path("var/supervisor.sock").absolute()
    if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
        return path
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"shardlayer-{digest}.sock"


def _rpc() -> Any:
    """Return Supervisor's methods, over a new connection: one that failed stays unusable."""
    transport = SupervisorTransport(None, None, f"unix://{socket_path()}")
    # The host is not used: the transport connects to the socket.
    return xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport).supervisor


def _process_name(part: str) -> str:
    """Return what Supervisor calls a part: its group comes first."""
    return f"workers:{part}" if worker_number(part) is not None else part
