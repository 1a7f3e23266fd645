"""A worker takes what a balancer hands over: each test speaks the balancer's side itself."""

from __future__ import annotations

import json
import signal
import socket
import struct
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from shardlayer.core.handover_frames import TAKE_WITHIN, GiveBack
from shardlayer.server.balancer_link import AWAY_PATIENCE
from tests.server.balancer import Door, ScriptedBalancer, ScriptedLink
from tests.server.client import CLOSE, TEXT, RawClient, frame, request
from tests.server.open_files import allow_files
from tests.server.process import ServerProcess
from tests.server.test_endpoints import PROXY, make_certificate, tls
from tests.waiting import PATIENCE, wait_until


def worker(balancer: ScriptedBalancer, *options: str) -> ServerProcess:
    """Return a worker that listens on a port as well, so that a test can ask it for its state."""
    listens = options if "-e" in options else ("-e", "tcp:port=0:interface=127.0.0.1", *options)
    return ServerProcess(balancer.path.parent, *listens, "--balancer", str(balancer.path))


def joined(balancer: ScriptedBalancer, capacity: int | None = None) -> ScriptedLink:
    """Return the link of the worker, which has said that it holds nothing."""
    link = balancer.worker()
    assert capacity in (None, link.read_join().capacity)
    link.read_load(taken=0, held=0)
    return link


def test_handover(balancer: ScriptedBalancer, door: Door) -> None:
    """A connection that is handed over is served like one that was accepted, address and all."""
    with worker(balancer, "--worker-name", "first") as server:
        link = balancer.worker()
        assert link.read_join().name == "first"
        link.read_load(taken=0, held=0)
        client, accepted = door.pair()
        address = list(client.getsockname())
        link.give(accepted)
        link.read_load(taken=1, held=1)
        with RawClient(client, request("/scope")) as websocket:
            received = websocket.read()
            assert received is not None
            scope = json.loads(received.payload)
            assert scope["client"] == address
            assert scope["server"] == list(door.address)
            assert scope["scheme"] == "ws"
        link.read_load(taken=1, held=0)
        assert server.state()["counters"]["adopted"] == 1
        assert server.errors() == []


def test_batch(balancer: ScriptedBalancer, door: Door) -> None:
    """Several connections in one message each get an answer, pages and WebSockets alike."""
    with worker(balancer) as server:
        link = joined(balancer)
        pairs = [door.pair() for _ in range(20)]
        link.give(*(accepted for _, accepted in pairs))
        link.read_load(taken=20, held=20)
        for client, _ in pairs[:10]:
            client.sendall(b"GET /page HTTP/1.0\r\n\r\n")
            with client, client.makefile("rb") as answer:
                assert answer.read().startswith(b"HTTP/1.0 200")
        for client, _ in pairs[10:]:
            with RawClient(client) as websocket:
                websocket.send(frame(TEXT, b"echo"))
                assert (received := websocket.read()) is not None
                assert received.payload == b"echo"
        link.read_load(taken=20, held=0)
        assert server.errors() == []


def test_page_that_becomes_a_websocket(balancer: ScriptedBalancer, door: Door) -> None:
    """A connection that serves HTTP first, as a proxy keeps them, is one connection."""
    with worker(balancer) as server:
        link = joined(balancer)
        client, accepted = door.pair()
        link.give(accepted)
        client.sendall(b"GET /page HTTP/1.1\r\nHost: test\r\n\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.1 200")
        with RawClient(client) as websocket:
            assert websocket.status == 101
            websocket.send(frame(TEXT, b"echo"))
            assert websocket.read() is not None
        link.read_load(taken=1, held=0)
        assert server.errors() == []


def test_client_that_is_gone(balancer: ScriptedBalancer, door: Door) -> None:
    """A client that left before it was adopted is let go without a word."""
    with worker(balancer) as server:
        link = joined(balancer)
        gone = []
        for _ in range(10):
            client, accepted = door.pair()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()  # with a reset: the peer has no name any more
            gone.append(accepted)
        client, accepted = door.pair()
        link.give(*gone, accepted)
        link.read_load(taken=11)
        with RawClient(client) as websocket:
            assert websocket.status == 101
            assert link.read_load(held=1).taken == 11
        link.read_load(held=0)
        assert server.errors() == []


def test_full(balancer: ScriptedBalancer, door: Door) -> None:
    """Beyond its share a worker answers 503 to WebSockets, and beyond the reserve to pages."""
    with worker(balancer, "--capacity", "50") as server:
        link = joined(balancer, capacity=50)
        link.share(capacity=2, reserve=1)
        clients = []
        for _ in range(2):
            client, accepted = door.pair()
            link.give(accepted)
            clients.append(RawClient(client))
        assert [client.status for client in clients] == [101, 101]
        client, accepted = door.pair()
        link.give(accepted)
        with RawClient(client) as refused:
            assert refused.status == 503
            assert "Retry-After: 5" in refused.head
            assert b"Try again" in refused.rest()
        link.read_load(taken=3, held=2)
        page, accepted = door.pair()
        link.give(accepted)
        page.sendall(b"GET /hang?begun HTTP/1.1\r\nHost: test\r\n\r\n")
        assert page.recv(12) == b"HTTP/1.1 200"
        other, accepted = door.pair()
        link.give(accepted)
        other.sendall(b"GET /page HTTP/1.1\r\nHost: test\r\n\r\n")
        assert other.recv(12) == b"HTTP/1.1 503"
        page.close()
        link.read_load(taken=5, held=2)
        for websocket in clients:
            websocket.disconnect()
        link.read_load(taken=5, held=0)
        assert server.state()["counters"]["full"] == 2


def answer_of(page: socket.socket, path: str, end: bytes) -> bytes:
    """Ask for a page over a connection that is kept, and return the answer up to there."""
    page.sendall(b"GET %b HTTP/1.1\r\nHost: test\r\n\r\n" % path.encode())
    answer = b""
    while end not in answer and (part := page.recv(4096)):
        answer += part
    return answer


def test_full_for_a_connection_that_was_idle(balancer: ScriptedBalancer, door: Door) -> None:
    """It has no place while it waits for its next request, and may find none then."""
    with worker(balancer) as server:
        link = joined(balancer)
        link.share(capacity=1, reserve=1)
        pages = []
        for _ in range(3):
            page, accepted = door.pair()
            link.give(accepted)
            assert b"HTTP/1.1 200" in answer_of(page, "/page", b"GET ")
            pages.append(page)
        for page in pages[:2]:
            assert b"HTTP/1.1 200" in answer_of(page, "/hang?begun", b"begun")
        refused = answer_of(pages[2], "/page", b"never")  # to the connection's end
        assert b"HTTP/1.1 503" in refused
        assert b"retry-after: 5" in refused.lower()
        for page in pages:
            page.close()
        link.read_load(held=0)
        assert server.state()["counters"]["full"] == 1


def test_silent_connections_are_told(balancer: ScriptedBalancer, door: Door) -> None:
    """A connection that was handed over counts as one that asks, until a report says otherwise."""
    with worker(balancer):
        link = joined(balancer)
        pairs = [door.pair() for _ in range(3)]
        link.give(*(accepted for _, accepted in pairs))
        assert link.read_load(taken=3, held=3).silent == 0
        assert link.read_load(taken=3, held=3).silent == 3
        assert RawClient(pairs[0][0]).status == 101
        assert link.read_load(taken=3, held=3).silent == 2


def test_silent_connections_take_no_place_of_a_page(balancer: ScriptedBalancer, door: Door) -> None:
    """However many there are, a page finds the reserve."""
    with worker(balancer):
        link = joined(balancer)
        link.share(capacity=1, reserve=1)
        pairs = [door.pair() for _ in range(5)]
        link.give(*(accepted for _, accepted in pairs))
        link.read_load(taken=5, held=5)
        assert RawClient(pairs[0][0]).status == 101
        page = pairs[1][0]
        page.sendall(b"GET /page HTTP/1.1\r\nHost: test\r\n\r\n")
        assert page.recv(12) == b"HTTP/1.1 200"


def test_capacity_without_balancer(tmp_path: Path) -> None:
    """A server on its own has the limit, too."""
    listens = ("-e", "tcp:port=0:interface=127.0.0.1", "--capacity", "1")
    with ServerProcess(tmp_path, *listens) as server:
        with RawClient(server.connect()) as first, RawClient(server.connect()) as second:
            assert (first.status, second.status) == (101, 503)
            assert server.state()["counters"]["full"] == 1

        def lets_in() -> bool:
            with RawClient(server.connect()) as client:
                return client.status == 101

        wait_until(lets_in)


def test_clients_that_come_together_are_let_in_up_to_the_capacity(tmp_path: Path) -> None:
    """Who has yet to ask for something takes nobody's place."""
    listens = ("-e", "tcp:port=0:interface=127.0.0.1", "--capacity", "4")
    with ServerProcess(tmp_path, *listens) as server, ExitStack() as stack:
        clients = [server.connect() for _ in range(10)]
        server.state()  # all are there
        statuses = [stack.enter_context(RawClient(client)).status for client in clients]
    assert statuses == [101] * 4 + [503] * 6


def test_share_is_bounded_by_own_capacity(balancer: ScriptedBalancer, door: Door) -> None:
    """A balancer that gives more than the worker can hold changes nothing."""
    with worker(balancer, "--capacity", "1"):
        link = joined(balancer, capacity=1)
        link.share(capacity=1000)
        statuses = []
        for _ in range(2):
            client, accepted = door.pair()
            link.give(accepted)
            statuses.append(RawClient(client).status)
        assert statuses == [101, 503]


def test_late_handover_is_not_taken(balancer: ScriptedBalancer, door: Door) -> None:
    """What waited too long may be another worker's: the worker ends the link and joins anew."""
    with worker(balancer):
        link = joined(balancer)
        client, accepted = door.pair()
        link.give(accepted, age=TAKE_WITHIN + 1)
        with pytest.raises(EOFError):
            link.read()
        again = joined(balancer)
        with client:
            assert client.recv(1) == b""  # nobody else has it
        client, accepted = door.pair()
        again.give(accepted)
        again.read_load(taken=1)
        assert RawClient(client).status == 101


@pytest.mark.skipif(sys.platform != "linux", reason="sets another process's limit")
@pytest.mark.parametrize("takes_back", [True, False])
def test_more_than_it_has_files_for(
    balancer: ScriptedBalancer, door: Door, *, takes_back: bool
) -> None:
    """It serves those that it can, gives back the others, and has lost none of those before."""
    with worker(balancer) as server:
        link = joined(balancer)
        link.share(capacity=0, takes_back=takes_back)
        before, accepted = door.pair()
        link.give(accepted)
        websocket = RawClient(before)
        allow_files(server.process.pid, 4)
        pairs = [door.pair() for _ in range(10)]
        link.give(*(accepted for _, accepted in pairs))
        link.read_load(taken=4)  # one of the files is needed to adopt them
        if takes_back:
            assert link.read() == GiveBack(count=7)
        else:  # an older balancer takes back what was not acknowledged when a link ends
            with pytest.raises(EOFError):
                link.read_load(taken=5)
        assert [RawClient(client).status for client, _ in pairs[:3]] == [101] * 3
        websocket.send(frame(TEXT, b"still here"))
        assert (received := websocket.read()) is not None
        assert received.payload == b"still here"
        allow_files(server.process.pid, 100)
        assert server.state()["counters"]["given_back"] == 7
        if not takes_back:
            link = balancer.worker()
            link.read_join()
        client, accepted = door.pair()
        link.give(accepted)
        assert RawClient(client).status == 101


def test_balancer_that_turns_it_away(balancer: ScriptedBalancer) -> None:
    """A worker that is never taken tries again more and more seldom, and says so once."""
    with worker(balancer) as server:
        began = time.monotonic()
        for _ in range(6):
            link = balancer.worker()
            link.read_join()
            link.socket.close()
        # 0.05 s, then twice that and so on, each shortened by a half at most
        assert time.monotonic() - began > 0.05 * (1 + 2 + 4 + 8 + 16) / 2
        joined(balancer).share(capacity=1)
        wait_until(lambda: "Joined the balancer." in server.log)
        assert server.log.count("The link to the balancer ended") == 1


@pytest.mark.parametrize("data", [b"\x04\x00\x01x", b"\x04\xff\xff"])
def test_broken_frames_end_the_link_only(balancer: ScriptedBalancer, data: bytes) -> None:
    """The worker joins again."""
    with worker(balancer):
        link = joined(balancer)
        link.socket.sendall(data)
        with pytest.raises(EOFError):
            link.read()
        joined(balancer)


def test_balancer_comes_and_goes(tmp_path: Path, door: Door) -> None:
    """A worker waits for its balancer, keeps its clients when that dies, and joins the next one."""
    path = tmp_path / "balancer.sock"
    options = ("-e", "tcp:port=0:interface=127.0.0.1", "--balancer", str(path))
    with ServerProcess(tmp_path, *options) as server:
        wait_until(lambda: "No balancer at" in server.log)
        with ScriptedBalancer(path) as balancer:
            link = joined(balancer)
            client, accepted = door.pair()
            link.give(accepted)
            websocket = RawClient(client)
            link.socket.close()
        with ScriptedBalancer(path) as balancer:
            link = balancer.worker()
            link.read_join()
            link.read_load(taken=0, held=1)
            websocket.send(frame(TEXT, b"still here"))
            assert (received := websocket.read()) is not None
            assert received.payload == b"still here"


def is_joined(server: ServerProcess) -> bool:
    """Return what the worker lets its application know."""
    return bool(server.state()["is_joined"])


def test_worker_that_no_balancer_has(tmp_path: Path) -> None:
    """It says so until one has said what it may hold, and not while one is only started again."""
    path = tmp_path / "balancer.sock"
    options = ("-e", "tcp:port=0:interface=127.0.0.1", "--balancer", str(path))
    with ServerProcess(tmp_path, *options) as server:
        wait_until(lambda: "No balancer at" in server.log)
        assert not is_joined(server)
        with ScriptedBalancer(path) as balancer:  # of another release, say
            link = joined(balancer)
            assert not is_joined(server)
            link.socket.close()
            link = joined(balancer)
            link.share(capacity=5)
            wait_until(lambda: is_joined(server))
            ended = time.monotonic()
        wait_until(lambda: not is_joined(server), within=AWAY_PATIENCE + PATIENCE)
        assert time.monotonic() - ended > AWAY_PATIENCE
        with ScriptedBalancer(path) as balancer:
            joined(balancer).share(capacity=5)
            wait_until(lambda: is_joined(server))


def test_worker_without_a_balancer_misses_none(tmp_path: Path) -> None:
    """It listens itself."""
    with ServerProcess(tmp_path, "-e", "tcp:port=0:interface=127.0.0.1") as server:
        assert is_joined(server)


def test_stop_leaves_first(balancer: ScriptedBalancer, door: Door) -> None:
    """A worker that stops leaves the balancer before it sends its clients away."""
    with worker(balancer) as server:
        link = joined(balancer)
        client, accepted = door.pair()
        link.give(accepted)
        with RawClient(client) as websocket:
            server.process.send_signal(signal.SIGTERM)
            close = websocket.read()
            assert close is not None
            assert (close.opcode, close.code) == (CLOSE, 1012)
            link.read_load(taken=1)
            with pytest.raises(EOFError):
                link.read_load(taken=2)
        assert server.process.wait(PATIENCE) == 0
        assert server.errors() == []


def test_without_endpoint_it_listens_nowhere(balancer: ScriptedBalancer, door: Door) -> None:
    """`--balancer` alone is enough: it takes what is handed over as plain TCP."""
    options = ("--balancer", str(balancer.path), "-v", "1")
    with ServerProcess(balancer.path.parent, *options, listens=False) as server:
        link = joined(balancer)
        assert "Listening on" not in server.log
        assert "tcp:" not in server.log
        assert f"Starting server at balancer:{balancer.path}" in server.log
        client, accepted = door.pair()
        link.give(accepted)
        assert RawClient(client).status == 101


def test_tls(balancer: ScriptedBalancer, door: Door) -> None:
    """A worker whose endpoint is TLS speaks TLS on what it is handed, also to say 503."""
    certificate, key = make_certificate(balancer.path.parent)
    endpoint = f"ssl:port=0:interface=127.0.0.1:privateKey={key}:certKey={certificate}"
    with worker(balancer, "-e", endpoint):
        link = joined(balancer)
        link.share(capacity=1, reserve=1)
        client, accepted = door.pair()
        link.give(accepted)
        with RawClient(tls(client, certificate), request("/scope")) as websocket:
            received = websocket.read()
            assert received is not None
            assert json.loads(received.payload)["scheme"] == "wss"
            other, accepted = door.pair()
            link.give(accepted)
            with RawClient(tls(other, certificate)) as refused:
                assert refused.status == 503
        link.read_load(taken=2, held=0)
        broken, accepted = door.pair()
        link.give(accepted)
        with broken:
            broken.sendall(request())  # no TLS
            link.read_load(taken=3, held=0)


def test_haproxy_endpoint(balancer: ScriptedBalancer, door: Door) -> None:
    """Behind a proxy in TCP mode the client's address is what the proxy says."""
    with worker(balancer, "-e", "haproxy:tcp:port=0:interface=127.0.0.1"):
        link = joined(balancer)
        client, accepted = door.pair()
        link.give(accepted)
        client.sendall(PROXY)
        with RawClient(client, request("/scope")) as websocket:
            received = websocket.read()
            assert received is not None
            assert json.loads(received.payload)["client"] == ["192.0.2.7", 5555]
