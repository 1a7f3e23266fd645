"""A real PostgreSQL, wherever its programs are installed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import ClassVar

from demo.embedded import EmbeddedServer, EmbeddedServerError
from tests import tools

USER = "postgres"  # Debian's package makes it; the server refuses to run as root
INITDB_TIMEOUT = 60.0  # seconds; it takes two


class PostgreSQL(EmbeddedServer):
    """One server, that keeps its data over a restart and asks nobody for a password.

    Its folder is in the system's folder for temporary files and not in pytest's, which only its
    owner may enter: where root runs the tests, another user runs the server.
    """

    name: ClassVar[str] = "PostgreSQL"
    start_timeout: ClassVar[float] = 60.0  # seconds, on a busy machine
    stop_timeout: ClassVar[float] = 60.0  # then SIGKILL, which would leave its children
    stop_signal: ClassVar[signal.Signals] = signal.SIGINT  # "fast": ends every session
    orphan_signal: ClassVar[signal.Signals] = signal.SIGQUIT

    def __init__(self) -> None:
        super().__init__(directory=Path(tempfile.mkdtemp(prefix="postgresql-")))
        self.user = USER if os.geteuid() == 0 else None
        if self.user:
            shutil.chown(self.directory, self.user)

    @property
    def url(self) -> str:
        """Its address as DATABASE_URL takes it."""
        return f"postgres://{USER}@{self.address}/postgres"

    def command(self, port: int) -> list[str]:
        """Return the program and its arguments."""
        return [
            _program("postgres"),
            *("-D", str(self._data), "-p", str(port)),
            *("-h", "127.0.0.1", "-k", str(self.directory)),
            *("-c", "fsync=off"),
        ]

    def prepare(self) -> None:
        """Make the database at the first start."""
        if (self._data / "PG_VERSION").exists():
            return
        done = subprocess.run(
            [
                *(_program("initdb"), "-D", str(self._data), "-U", USER),
                *("--auth", "trust", "--encoding", "UTF8", "--no-sync"),
            ],
            cwd=self.directory,
            user=self.user,
            capture_output=True,
            text=True,
            timeout=INITDB_TIMEOUT,
        )
        if done.returncode != 0:
            raise EmbeddedServerError(f"{self.name}: {done.stdout}{done.stderr}".strip())

    def is_up(self) -> bool:
        """Say whether it takes sessions."""
        return (
            subprocess.run(
                [_program("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)],
                check=False,
            ).returncode
            == 0
        )

    def remove(self) -> None:
        """Delete its folder."""
        shutil.rmtree(self.directory)

    @property
    def _data(self) -> Path:
        return self.directory / "data"


def _program(name: str) -> str:
    server = tools.find("postgresql")
    if server is None:
        raise EmbeddedServerError("PostgreSQL is not installed.")
    return str(Path(server).resolve().with_name(name))
