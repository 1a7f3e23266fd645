"""Child processes that never outlive the benchmark."""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_PR_SET_PDEATHSIG = 1  # of linux/prctl.h
_POLL = 0.02  # seconds between two tries of a port
_libc = ctypes.CDLL(None)


class ChildFailed(RuntimeError):
    """A child ended, or did not answer in time; the message has the end of what it wrote."""


class Child:
    """A process that ends with the benchmark, however that ends.

    Args:
        name: For messages, and the name of its log.
        command: The command line.
        cpus: The CPUs that it may use.
        folder: Where its log goes.
        environment: Variables beside our own.
        pass_fds: Descriptors that it inherits under the same numbers.
        talks: Whether its standard input and output are ours.
        directory: Where it runs; None: where we do.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        cpus: frozenset[int],
        folder: Path,
        environment: Mapping[str, str] | None = None,
        pass_fds: Sequence[int] = (),
        talks: bool = False,
        directory: Path | None = None,
    ) -> None:
        self.name = name
        self._log = folder / f"{name}.log"

        def before_exec() -> None:
            # A benchmark that is killed can't stop its children: the kernel does.
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            os.sched_setaffinity(0, cpus)

        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE if talks else subprocess.DEVNULL,
                stdout=subprocess.PIPE if talks else log,
                stderr=log,
                env={**os.environ, **(environment or {})},
                pass_fds=pass_fds,
                preexec_fn=before_exec,
                cwd=directory,
            )

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def log(self) -> str:
        """All that it has written so far."""
        return self._log.read_text(errors="replace")

    def wait_for_port(self, port: int, timeout: float = 60.0) -> None:
        """Wait until something accepts connections on 127.0.0.1.

        Raises:
            ChildFailed: The child ended, or `timeout` seconds are over.
        """
        deadline = time.monotonic() + timeout
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise self.failure(f"does not listen on port {port}") from None
                time.sleep(_POLL)
            else:
                return

    def failure(self, what: str) -> ChildFailed:
        """Return an error about this child, with the last lines of its log."""
        lines = self._log.read_text(errors="replace").splitlines()[-15:]
        return ChildFailed("\n".join([f"{self.name} {what}; the end of its log:", *lines]))

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Have the process stand still (SIGSTOP) while the `with` block runs."""
        os.kill(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)

    def wait(self, timeout: float) -> int:
        """Return the exit code of a process that ends by itself.

        Raises:
            ChildFailed: It did not within `timeout` seconds.
        """
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise self.failure(f"did not end within {timeout:g} s") from None

    def stop(self) -> None:
        """End the process at once: it has nothing to save, and nobody waits for its goodbyes."""
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


class Servant(Child):
    """A Python process of our own that obeys (see benchmarks.conversation).

    Args:
        module: What it runs, with its arguments.
        python: The interpreter, and how it is told what to run.
        others: As for Child.
    """

    def __init__(
        self,
        name: str,
        module: Sequence[str],
        *,
        python: Sequence[str] = (sys.executable, "-m"),
        **others: Any,
    ) -> None:
        super().__init__(name, [*python, *module], talks=True, **others)
        if self._process.stdin is None or self._process.stdout is None:
            raise TypeError("a process that talks has pipes")
        self._theirs = self._process.stdin
        self._ours = self._process.stdout

    def ask(self, do: str, timeout: float, /, **arguments: Any) -> dict[str, Any]:
        """Give an instruction and return the answer.

        Raises:
            ChildFailed: There was none within `timeout` seconds.
        """
        try:
            self._theirs.write(json.dumps({"do": do, "with": arguments}).encode() + b"\n")
            self._theirs.flush()
        except BrokenPipeError:
            raise self.failure(f"ended before {do!r}") from None
        readable, _, _ = select.select([self._ours], [], [], timeout)
        line = self._ours.readline() if readable else b""
        if not line:
            raise self.failure(f"did not answer {do!r} within {timeout:.0f} s")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def stop(self) -> None:
        """End the process and close its pipes."""
        super().stop()
        self._theirs.close()
        self._ours.close()
