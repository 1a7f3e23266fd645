"""A client that ends its TLS session while much waits for it."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.client import request
from tests.server.process import ServerProcess
from tests.server.test_endpoints import tls_options
from tests.waiting import PATIENCE, wait_until

READ_SIZE = 1 << 20


class Leaver:
    """A client of a TLS server that says goodbye without having read, and then reads."""

    def __init__(self, connection: socket.socket, certificate: Path) -> None:
        self._connection = connection
        self._received, self._sent = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = ssl.create_default_context(cafile=str(certificate))
        self._session = context.wrap_bio(self._received, self._sent, server_hostname="localhost")
        while True:
            try:
                self._session.do_handshake()
            except ssl.SSLWantReadError:
                self._flush()
                self._received.write(connection.recv(READ_SIZE))
            else:
                break

    def send(self, data: bytes) -> None:
        """Send something, and read no answer."""
        self._session.write(data)
        self._flush()

    def say_goodbye(self) -> None:
        """Send the TLS session's end."""
        with pytest.raises(ssl.SSLWantReadError):  # the server's, which is not waited for
            self._session.unwrap()
        self._flush()

    def read_to_the_end(self) -> int:
        """Return how many bytes come until the server ends the connection."""
        count = 0
        try:
            while data := self._connection.recv(READ_SIZE):
                count += len(data)
        except ConnectionResetError:
            pass
        return count

    def _flush(self) -> None:
        if data := self._sent.read():
            self._connection.sendall(data)


@pytest.fixture(scope="module")
def certificate_and_server(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Path, ServerProcess]]:
    """A server on TLS that lets a client be slow."""
    directory = tmp_path_factory.mktemp("goodbye")
    certificate, options = tls_options(directory)
    # No ping ends a WebSocket in the time of a test.
    options += ["--client-buffer-limit", "100000000", "--ping-interval", "600"]
    with ServerProcess(directory, *options) as server:
        yield certificate, server


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param(b"GET /paced?16000000 HTTP/1.1\r\nHost: test\r\n\r\n", id="http"),
        pytest.param(request("/flood?count=1&size=16000000"), id="websocket"),
    ],
)
def test_connection_ends(certificate_and_server: tuple[Path, ServerProcess], asked: bytes) -> None:
    """Once the client has read all, though it ended its session while the transport was full."""
    certificate, server = certificate_and_server
    with server.connect(receive_buffer=4096) as connection:
        connection.settimeout(PATIENCE)
        leaver = Leaver(connection, certificate)
        leaver.send(asked)
        # More than TLS has to say for itself: all has been written, in one call.
        wait_until(lambda: len(connection.recv(READ_SIZE, socket.MSG_PEEK)) > 2_000)
        leaver.say_goodbye()
        assert leaver.read_to_the_end() > 0
