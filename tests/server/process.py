"""A server in a process of its own."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.server.logged_process import LISTENING, LoggedProcess
from tests.waiting import PATIENCE


class ServerProcess(LoggedProcess):
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
        open_files: int = 0,
    ) -> None:
        super().__init__(
            [sys.executable, "-m", "shardlayer.server", *options, application],
            directory / "server.log",
            environ=environ,
            pass_fds=() if descriptor is None else (descriptor,),
            open_files=open_files,
        )
        self._options = options
        self._is_to_listen = listens
        self.address: tuple[str, int] | str = ""

    def is_up(self) -> bool:
        """Say whether it listens, and note where; without an endpoint its start is enough."""
        if not self._is_to_listen:
            return True
        if "-u" in self._options:
            self.address = self._options[self._options.index("-u") + 1]
            return self._accepts()  # the file is there before anybody listens
        found = LISTENING.search(self.log)
        if found:
            self.address = found[1], int(found[2])
        return found is not None

    def _accepts(self) -> bool:
        try:
            self.connect().close()
        except OSError:
            return False
        return True

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
        connection.settimeout(PATIENCE)
        if receive_buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            connection.connect(self.address)
        except OSError:
            connection.close()
            raise
        return connection
