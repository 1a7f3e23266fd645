"""A process of ours that runs within a `with` block and writes a log."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.waiting import PATIENCE, wait_until

ROOT = Path(__file__).parents[2]

LISTENING = re.compile(r"Listening on TCP address ([^\s\"]+):(\d+)")


class LoggedProcess:
    """Is up inside the block, and stopped after it.

    Args:
        command: The program and its arguments.
        log: Where its output goes.
        environ: Variables beside our own.
        pass_fds: Descriptors that it inherits.
        open_files: How many files it may have open; 0 is as many as this process.
    """

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        *,
        environ: Mapping[str, str] | None = None,
        pass_fds: Sequence[int] = (),
        open_files: int = 0,
    ) -> None:
        limited = ("sh", "-c", f'ulimit -n {open_files}; exec "$@"', "sh") if open_files else ()
        self._command = [*limited, *command]
        self._log = log
        self._environ = environ or {}
        self._pass_fds = pass_fds

    def is_up(self) -> bool:
        """Say whether it does what it was started for."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                self._command,
                cwd=ROOT,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self._environ},
                pass_fds=self._pass_fds,
            )
        try:
            wait_until(self._has_started, within=PATIENCE)
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

    def _has_started(self) -> bool:
        if self.process.poll() is not None:
            raise RuntimeError(f"It did not start:\n{self.log}")
        return self.is_up()

    @property
    def log(self) -> str:
        """All that it has written."""
        return self._log.read_text()

    def errors(self) -> list[str]:
        """The lines of the log that tell of something unexpected."""
        return [
            line
            for line in self.log.splitlines()
            if re.search(r"ERROR|CRITICAL|WARNING|Traceback|Unhandled|Warning:", line)
        ]

    def stop(self) -> int:
        """Ask it to stop, and return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
