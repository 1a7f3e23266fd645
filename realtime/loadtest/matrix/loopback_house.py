"""Redis servers and workers on loopback, which a load test starts and stops."""

from __future__ import annotations

import ctypes
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from realtime.loadtest.load_failed import LoadFailed
from realtime.loadtest.process_look import cpu_seconds

_LOOPBACK: Final = "127.0.0.1"
_STARTS_WITHIN: Final = 60.0  # seconds
_ENDS_WITHIN: Final = 10.0  # seconds
_POLL: Final = 0.05  # seconds
_PR_SET_PDEATHSIG: Final = 1  # of linux/prctl.h
_SERVERS: Final = ("valkey-server", "redis-server")
_libc = ctypes.CDLL(None)


def redis_program(named: str | None) -> str:
    """Return the program of Redis or Valkey.

    Args:
        named: What the caller wants; None: what is installed.

    Raises:
        LoadFailed: There is none.
    """
    found = shutil.which(named) if named else next(filter(None, map(shutil.which, _SERVERS)), None)
    if found is None:
        raise LoadFailed(
            f"{named or ' or '.join(_SERVERS)} is not installed; --redis-server names another."
        )
    return found


class LoopbackHouse:
    """A deployment of its own, with empty servers.

    Args:
        workers: How many.
        shards: Of the layer.
        servers: How many Redis servers.
        redis: The program.
        keeps: Whether servers keep an append-only file, so that they can be killed.

    Attributes:
        ports: Of the workers.
        environ: What settings read, for a process that publishes here.
    """

    def __init__(
        self, *, workers: int, shards: int, servers: int, redis: str, keeps: bool = False
    ) -> None:
        self._keeps = keeps
        self._folder = Path()
        self._redis = redis
        self._servers = [_free_port() for _ in range(servers)]
        self.ports = [_free_port() for _ in range(workers)]
        self._stack = ExitStack()
        self._worker_pids: list[int] = []
        self._redis_processes: list[subprocess.Popen[bytes]] = []
        self.environ = {
            "DJANGO_SETTINGS_MODULE": "realtime.loadtest.matrix.matrix_settings",
            "LOADTEST_SECRET_KEY": secrets.token_hex(32),
            "LOADTEST_HOSTS": ",".join(f"redis://{_LOOPBACK}:{port}" for port in self._servers),
            "LOADTEST_SHARDS": str(shards),
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)) or ".",
        }

    @property
    def urls(self) -> list[str]:
        """The WebSocket of each worker."""
        return [f"ws://{_LOOPBACK}:{port}/ws/" for port in self.ports]

    @property
    def metrics(self) -> list[str]:
        """The `/metrics` of each worker."""
        return [f"http://{_LOOPBACK}:{port}/metrics" for port in self.ports]

    def start(self) -> None:
        """Start all, and wait until they listen.

        Raises:
            LoadFailed: One does not. The others are stopped.
        """
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End all, and remove what they wrote."""
        self._stack.close()

    def _start(self) -> None:
        folder = Path(self._stack.enter_context(TemporaryDirectory(prefix="loadtest-")))
        self._folder = folder
        self._redis_processes = [self._start_server(port) for port in self._servers]
        for port in self.ports:
            command = [
                *(sys.executable, "-m", "shardlayer.server", "-b", _LOOPBACK, "-p", str(port)),
                *("-v", "0", "realtime.loadtest.matrix.matrix_asgi:application"),
            ]
            self._worker_pids.append(self._run(command, f"worker-{port}", self.environ).pid)
        for port in (*self._servers, *self.ports):
            _wait_for(port, folder)

    def _start_server(self, port: int) -> subprocess.Popen[bytes]:
        folder = self._folder / f"data-{port}"
        folder.mkdir(exist_ok=True)
        command = [
            *(self._redis, "--port", str(port), "--bind", _LOOPBACK, "--dir", str(folder)),
            *("--save", "", "--appendonly", "yes" if self._keeps else "no"),
            *("--maxmemory-policy", "noeviction"),
        ]
        return self._run(command, f"redis-{port}", {})

    def kill_server(self) -> None:
        """Kill the first Redis server, which has no time to say anything."""
        self._redis_processes[0].kill()
        self._redis_processes[0].wait()

    def restart_server(self) -> None:
        """Start it again, with what it had written to its append-only file."""
        self._redis_processes[0] = self._start_server(self._servers[0])
        _wait_for(self._servers[0], self._folder)

    def _run(
        self, command: Sequence[str], name: str, environ: Mapping[str, str]
    ) -> subprocess.Popen[bytes]:
        def before_exec() -> None:
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # it never outlives this process

        with (self._folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(  # noqa: S603 - ours
                command,
                cwd=os.getcwd(),
                env={**os.environ, **environ},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=before_exec,
            )
        self._stack.callback(_end, process)
        return process

    def cpu(self) -> tuple[float, float]:
        """Return the seconds of CPU that workers, and Redis servers, have used."""
        servers = [process.pid for process in self._redis_processes]
        return sum(map(cpu_seconds, self._worker_pids)), sum(map(cpu_seconds, servers))


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_ENDS_WITHIN)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind((_LOOPBACK, 0))
        return int(found.getsockname()[1])


def _wait_for(port: int, folder: Path) -> None:
    deadline = time.monotonic() + _STARTS_WITHIN
    while True:
        try:
            socket.create_connection((_LOOPBACK, port), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                logs = [log.read_text(errors="replace")[-500:] for log in folder.glob("*.log")]
                raise LoadFailed(
                    f"Nothing listens on port {port}. {' '.join(filter(None, logs))}"
                ) from None
            time.sleep(_POLL)
        else:
            return
