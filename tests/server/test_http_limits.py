"""What a client may send by HTTP, and for how long."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.client import read_to_the_reset
from tests.server.conftest import LOOPBACK
from tests.server.process import ServerProcess
from tests.waiting import wait_until

LIMIT = 200_000  # bytes: Twisted keeps less than 100,000 in memory, and more in a file


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that takes small bodies, and not for long."""
    options = ("--http-max-body-size", str(LIMIT), "--http-request-timeout", "4")
    with ServerProcess(tmp_path_factory.mktemp("strict"), *LOOPBACK, *options) as server:
        yield server


def post(*headers: str) -> bytes:
    """Return the head of a POST."""
    return "\r\n".join(["POST / HTTP/1.1", "Host: test", *headers, "", ""]).encode()


def answer(connection: socket.socket) -> bytes:
    """Return all that the server sends until it ends the connection."""
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


def count(server: ServerProcess, name: str) -> int:
    """Return a counter."""
    return int(server.state()["counters"][name])


def test_body_within_the_limit(strict: ServerProcess) -> None:
    """A body of exactly the limit is served, whole or in chunks."""
    body = b"x" * LIMIT
    with strict.connect() as connection:
        connection.sendall(post("Connection: close", f"Content-Length: {LIMIT}") + body)
        assert answer(connection).endswith(b"POST " + body)
    with strict.connect() as connection:
        connection.sendall(post("Connection: close", "Transfer-Encoding: chunked"))
        connection.sendall(b"%x\r\n%b\r\n0\r\n\r\n" % (LIMIT, body))
        assert answer(connection).endswith(b"POST " + body)


def test_body_that_says_it_is_too_large(strict: ServerProcess) -> None:
    """It is refused by its announcement, and nobody is told to go on."""
    before = count(strict, "bodies_too_large")
    with strict.connect() as connection:
        connection.sendall(post(f"Content-Length: {LIMIT + 1}", "Expect: 100-continue"))
        said = answer(connection)
    assert said.startswith(b"HTTP/1.1 413 ")
    assert said.count(b"HTTP/1.1 ") == 1
    assert count(strict, "bodies_too_large") == before + 1


def test_body_that_becomes_too_large(strict: ServerProcess) -> None:
    """Chunks are counted. A client that goes on sending reads the answer all the same."""
    before = count(strict, "bodies_too_large")
    with strict.connect() as connection:
        connection.sendall(post("Transfer-Encoding: chunked"))
        for _ in range(40):
            connection.sendall(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
        assert answer(connection).startswith(b"HTTP/1.1 413 ")
    assert count(strict, "bodies_too_large") == before + 1


@pytest.mark.parametrize(
    "begins",
    [post("Content-Length: 100") + b"x", b"POST / HTTP/1.1\r\nHost"],
    ids=["body", "head"],
)
def test_request_that_does_not_end(strict: ServerProcess, begins: bytes) -> None:
    """A request that takes too long is refused, though its bytes keep coming."""
    before = count(strict, "requests_timed_out")
    with strict.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
        assert connection.recv(65536).endswith(b"GET ")
        connection.sendall(begins)
        connection.settimeout(0.1)
        began = time.monotonic()
        said = b""
        while not said and time.monotonic() - began < 30:
            try:
                said = connection.recv(65536)
            except TimeoutError:
                connection.sendall(b"x")
    assert said.startswith(b"HTTP/1.1 408 ")
    assert count(strict, "requests_timed_out") == before + 1


def test_refused_client_that_stays_is_cut_off(strict: ServerProcess, tmp_path: Path) -> None:
    """A client that goes on for ever after its refusal does not keep its connection."""
    with strict.connect() as connection:
        connection.sendall(post(f"Content-Length: {10**9}"))
        connection.settimeout(0.05)

        def is_cut_off() -> bool:
            try:
                connection.sendall(b"x" * 1000)
            except TimeoutError:
                return False
            except OSError:
                return True
            return False

        wait_until(is_cut_off)


def test_many_large_bodies_need_little_memory(strict: ServerProcess) -> None:
    """What is refused is dropped, so that nobody fills memory or /tmp with it."""
    status = Path(f"/proc/{strict.process.pid}/status")
    if not status.exists():
        pytest.skip("the resident size is read from Linux' /proc")

    def resident() -> int:
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(lines["VmRSS"].split()[0]) * 1024

    before = resident()
    connections = []
    for _ in range(20):
        connection = strict.connect()
        connections.append(connection)
        connection.sendall(post("Transfer-Encoding: chunked"))
        for _ in range(100):
            connection.sendall(b"8000\r\n" + b"x" * 0x8000 + b"\r\n")
    grown = resident() - before
    for connection in connections:
        connection.close()
    assert grown < 20 * 1024 * 1024


def test_several_hosts_are_refused(server: ServerProcess) -> None:
    """400: an application would get them joined, and each reader might take another one."""
    with server.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n")
        assert answer(connection).startswith(b"HTTP/1.1 400 ")


def test_application_that_does_not_answer(tmp_path: Path) -> None:
    """It is answered for, once, and cancelled. A client that left ends no limit of others."""
    options = ("--http-timeout", "1", "--application-close-timeout", "2")
    with ServerProcess(tmp_path, *LOOPBACK, *options) as server:
        with server.connect() as connection:
            connection.sendall(b"GET /hang?begun HTTP/1.0\r\n\r\n")
            assert connection.recv(1) == b"H"
        wait_until(lambda: server.log.count("took too long to shut down") == 1)
        before = count(server, "answers_timed_out")
        with server.connect() as connection:
            connection.sendall(b"GET /hang HTTP/1.0\r\n\r\n")
            assert answer(connection).startswith(b"HTTP/1.0 503 ")
        wait_until(lambda: server.log.count("took too long to shut down") == 2)
        with server.connect() as connection:
            connection.sendall(b"GET /hang?begun HTTP/1.1\r\nHost: test\r\n\r\n")
            said = read_to_the_reset(connection)
            assert b"\r\n0\r\n" not in said  # which would say that it is complete
        wait_until(lambda: server.log.count("took too long to shut down") == 3)
        assert count(server, "applications_killed") == 3
        assert count(server, "answers_timed_out") == before + 2
        assert "finish called" not in server.log
