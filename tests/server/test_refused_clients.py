"""A client that was refused, and does not close, takes nobody's place.

Each test speaks a balancer's side: it hands connections over, and the worker tells it how many it
holds, and how many of these want nothing (`silent`).
"""

from __future__ import annotations

import socket
from contextlib import ExitStack

import pytest

from tests.server.balancer import Door, ScriptedBalancer, ScriptedLink
from tests.server.client import RawClient, request
from tests.server.process import ServerProcess
from tests.server.test_endpoints import make_certificate, tls
from tests.waiting import PATIENCE, wait_until

HEAD_SIZE = 3000  # bytes
BODY_SIZE = 1000  # bytes
LIMITS = (
    *("--http-head-size", str(HEAD_SIZE), "--http-max-body-size", str(BODY_SIZE)),
    *("--http-head-timeout", "5"),
)
GET = b"GET /page HTTP/1.1\r\nHost: test\r\n\r\n"
LARGE_HEAD = b"GET /page HTTP/1.1\r\nHost: test\r\nX: " + b"x" * HEAD_SIZE
LARGE_BODY = b"POST /page HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n" % (BODY_SIZE + 1)
LOOPBACK = "tcp:port=0:interface=127.0.0.1"
REFUSED = 6  # clients


def worker(
    balancer: ScriptedBalancer, endpoint: str, *options: str, open_files: int = 0
) -> ServerProcess:
    """Return a worker that joins the balancer."""
    directory = balancer.path.parent
    options = ("-e", endpoint, *LIMITS, "--balancer", str(balancer.path), *options)
    return ServerProcess(directory, *options, open_files=open_files)


def joins(balancer: ScriptedBalancer, capacity: int) -> ScriptedLink:
    """Return the worker's link; it may hold so many connections, and no page beyond them."""
    link = balancer.worker()
    link.read_join()
    link.share(capacity=capacity, reserve=0)
    return link


def comes(link: ScriptedLink, door: Door) -> socket.socket:
    """Return a connection that the worker has been handed."""
    client, accepted = door.pair()
    link.give(accepted)
    return client


def read_until(link: ScriptedLink, *, held: int, silent: int) -> None:
    """Wait until the worker says that it holds so many, of which so many want nothing."""
    while link.read_load(held=held).silent != silent:
        pass


def status_of(client: socket.socket) -> bytes:
    """Return the status of the answer."""
    answer = b""
    while len(answer) < len(b"HTTP/1.1 200"):
        chunk = client.recv(4096)
        assert chunk, answer
        answer += chunk
    return answer[9:12]


@pytest.mark.parametrize(
    ("sends", "status"),
    [
        (LARGE_HEAD, b"431"),
        (GET[:20], b"408"),
        (LARGE_BODY, b"413"),
        (LARGE_BODY.replace(b"1.1\r\n", b"1.1\r\nExpect: 100-continue\r\n", 1), b"413"),
    ],
    ids=["large head", "late head", "large body", "large body, announced"],
)
def test_refused_by_a_limit(
    sends: bytes, status: bytes, balancer: ScriptedBalancer, door: Door
) -> None:
    """However many there are, another client gets in. A 429 of a page is given the same way."""
    with worker(balancer, LOOPBACK) as server:
        link = joins(balancer, capacity=2)
        refused = []
        for _ in range(REFUSED):
            refused.append(comes(link, door))
            refused[-1].sendall(sends)
        assert [status_of(client) for client in refused] == [status] * REFUSED
        read_until(link, held=REFUSED, silent=REFUSED)
        assert RawClient(comes(link, door)).status == 101
        for client in refused:
            client.close()
        read_until(link, held=1, silent=0)
        assert server.errors() == []


@pytest.mark.parametrize(
    ("asks", "status"),
    [(GET, b"503"), (request(), b"503"), (request("/deny"), b"429"), (LARGE_HEAD, b"431")],
    ids=["page", "WebSocket", "denied WebSocket", "large head"],
)
def test_refused_by_tls(asks: bytes, status: bytes, balancer: ScriptedBalancer, door: Door) -> None:
    """A session that the client does not end takes no place either, so a full worker recovers."""
    certificate, key = make_certificate(balancer.path.parent)
    endpoint = f"ssl:port=0:interface=127.0.0.1:privateKey={key}:certKey={certificate}"
    with worker(balancer, endpoint) as server, ExitStack() as stack:
        link = joins(balancer, capacity=1 if status == b"503" else REFUSED)
        holder = stack.enter_context(tls(comes(link, door), certificate))
        websocket = RawClient(holder)
        assert websocket.status == 101
        for _ in range(REFUSED):
            client = stack.enter_context(tls(comes(link, door), certificate))
            client.sendall(asks)
            assert status_of(client) == status
        read_until(link, held=REFUSED + 1, silent=REFUSED)
        assert server.errors() == []


def test_where_few_files_may_be_open(balancer: ScriptedBalancer, door: Door) -> None:
    """Fewer may take their time; the first of them is cut off."""
    with worker(balancer, LOOPBACK, open_files=128) as server:
        link = joins(balancer, capacity=0)
        refused = []
        for _ in range(20):
            refused.append(comes(link, door))
            refused[-1].sendall(LARGE_HEAD)
            assert status_of(refused[-1]) == b"431"
        read_until(link, held=16, silent=16)

        def is_cut_off() -> bool:
            try:
                refused[0].sendall(b"x")
            except OSError:
                return True
            return False

        wait_until(is_cut_off, within=PATIENCE)
        assert RawClient(comes(link, door)).status == 101
        assert server.errors() == []
