"""A balancer of the tests: it accepts workers, and hands over what a test gives it."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from shardlayer.core.handover_frames import (
    Handover,
    HandoverFrame,
    HandoverReader,
    Join,
    Load,
    Share,
)
from tests.waiting import PATIENCE


class ScriptedBalancer:
    """Listens on a Unix socket for one worker at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.settimeout(PATIENCE)
        self._listener.bind(str(path))
        self._listener.listen()
        self._links: list[ScriptedLink] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._listener.close()
        for link in self._links:
            link.socket.close()
        self.path.unlink()

    def worker(self) -> ScriptedLink:
        """Return the link of the worker that joins next."""
        connection, _ = self._listener.accept()
        connection.settimeout(PATIENCE)
        self._links.append(ScriptedLink(connection))
        return self._links[-1]


class ScriptedLink:
    """A worker's link, as the balancer has it."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._reader = HandoverReader()
        self._frames: list[HandoverFrame] = []

    def read(self) -> HandoverFrame:
        """Return the next frame; EOFError when the worker has left."""
        while not self._frames:
            data = self.socket.recv(4096)
            if not data:
                raise EOFError
            self._frames += self._reader.feed(data)
        return self._frames.pop(0)

    def read_join(self) -> Join:
        """Return the first frame."""
        frame = self.read()
        assert isinstance(frame, Join)
        return frame

    def read_load(self, *, taken: int | None = None, held: int | None = None) -> Load:
        """Return the next report that says so."""
        while True:
            frame = self.read()
            assert isinstance(frame, Load)
            if taken in (None, frame.taken) and held in (None, frame.held):
                return frame

    def share(self, capacity: int, reserve: int = 0, *, takes_back: bool = True) -> None:
        """Say what the worker may hold."""
        share = Share(capacity=capacity, reserve=reserve, takes_back=takes_back)
        self.socket.sendall(share.pack())

    def give(self, *connections: socket.socket, age: float = 0.0) -> None:
        """Hand connections over, and keep none of them."""
        frame = Handover(
            given_at=time.monotonic() - age,
            families=bytes(connection.family for connection in connections),
        )
        self.give_raw(frame.pack(), *connections)

    def give_raw(self, data: bytes, *connections: socket.socket) -> None:
        """Send bytes with descriptors."""
        socket.send_fds(self.socket, [data], [connection.fileno() for connection in connections])
        for connection in connections:
            connection.close()


class Door:
    """A TCP port that a balancer would listen on."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.address: tuple[str, int] = self._listener.getsockname()
        self._clients: list[socket.socket] = []

    def pair(self) -> tuple[socket.socket, socket.socket]:
        """Return a client's connection, and the accepted end of it."""
        client = socket.create_connection(self.address, timeout=PATIENCE)
        self._clients.append(client)
        accepted, _ = self._listener.accept()
        return client, accepted

    def close(self) -> None:
        """Listen no more, and drop the clients."""
        self._listener.close()
        for client in self._clients:
            client.close()
