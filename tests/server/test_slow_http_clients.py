"""Clients of HTTP that ask and do not read: what waits for them is bounded, on each transport."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from tests.server.test_endpoints import Endpoint, endpoint

__all__ = ["endpoint"]

LARGE = 2_000_000  # bytes
HUGE = 16_000_000  # bytes: more than the kernel takes
MANY = 40
MOST = 20  # such answers that the kernel takes: some megabytes on each side
TURNS = 30  # of the server's loop at least, in which it could do what it must not


def get(path: str) -> bytes:
    """Return a request."""
    return b"GET %b HTTP/1.1\r\nHost: test\r\n\r\n" % path.encode()


@contextmanager
def asks(endpoint: Endpoint, requests: bytes) -> Iterator[socket.socket]:
    """Yield a connection that has sent the requests in one go, and read an answer's beginning."""
    with endpoint.connect() as connection:
        connection.sendall(requests)
        assert connection.recv(12) == b"HTTP/1.1 200"
        yield connection


def sent(endpoint: Endpoint, what: str) -> int:
    """Return how often the application has sent it, once the server has had time for more."""
    return max(int(endpoint.state()["sent"].get(what, 0)) for _ in range(TURNS))


def read_past(connection: socket.socket, text: bytes, times: int = 1) -> None:
    """Read until this has come so many times."""
    rest, found = b"", 0
    while found < times:
        chunk = connection.recv(1_000_000)
        assert chunk, (rest, found)
        rest += chunk
        found += rest.count(text)
        rest = rest[rest.rfind(text) + len(text) :] if text in rest else rest[-len(text) :]


def test_requests_wait_for_the_client(endpoint: Endpoint) -> None:
    """However many came in one go: the server goes on when their client has read."""
    before = sent(endpoint, "large")
    with asks(endpoint, get(f"/large?{LARGE}") * MANY + get("/")) as client:
        assert sent(endpoint, "large") - before < MOST
        read_past(client, b"GET ")
    assert sent(endpoint, "large") - before == MANY


def test_what_comes_meanwhile_is_not_read(endpoint: Endpoint) -> None:
    """A client can't have the server keep what it sends while it does not read."""
    with asks(endpoint, get(f"/paced?{HUGE}")) as client:
        client.settimeout(1.0)
        taken, requests = 0, get("/") * 10_000
        with suppress(TimeoutError):
            while taken < 200:  # 70 MB
                client.sendall(requests)
                taken += 1
        assert taken < 200


@pytest.mark.parametrize("how", ["behind another", "at once"])
def test_a_stream_finds_the_transport_full(endpoint: Endpoint, how: str) -> None:
    """It waits from its beginning, and again whenever the client does not read."""
    before = sent(endpoint, "paced")
    requests = get(f"/paced?{HUGE}")
    if how == "behind another":
        requests = get(f"/large?{HUGE}") + get("/paced?1")
    with asks(endpoint, requests) as client:
        assert sent(endpoint, "paced") - before <= 1
        read_past(client, b"x" * 100_000, HUGE // 100_000 + 100)
        assert 50 < sent(endpoint, "paced") - before < 300
        read_past(client, b"end")


def test_no_error_logged(endpoint: Endpoint) -> None:
    """None of this is worth a line of error."""
    assert endpoint.server.errors() == []
