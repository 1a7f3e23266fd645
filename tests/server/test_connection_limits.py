"""What a client may do to connect: how often, from one address, and how long it may take."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from shardlayer.aio.open_files import room_for_connections
from tests.server.client import TEXT, RawClient, frame, request
from tests.server.conftest import LOOPBACK
from tests.server.process import ServerProcess
from tests.server.test_endpoints import make_certificate, tls
from tests.server.test_http_limits import answer, count
from tests.waiting import wait_until

GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\n\r\nhi"
BAD_UPGRADE = (
    b"POST / HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nX: a\x0bb\r\nContent-Length: 0\r\n\r\n"
)
PROXY = b"PROXY TCP4 %b 198.51.100.1 5555 443\r\n"
OPTIONS = (
    *("--address-connections", "3", "--address-handshake-rate", "1"),
    *("--http-head-size", "3000", "--http-head-timeout", "3"),
    *("--http-idle-timeout", "4", "--http-idle-connections", "8"),
)


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with small limits, behind a proxy that it believes."""
    directory = tmp_path_factory.mktemp("limited")
    with ServerProcess(directory, *LOOPBACK, "--proxy-headers", *OPTIONS) as server:
        yield server
        assert server.errors() == []


@pytest.fixture(scope="module")
def direct(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """The same, where a client's address is what the connection says: by the PROXY protocol.

    It waits for longer, lest a connection end while a test is busy with others.
    """
    options = [
        *("-e", "haproxy:tcp:port=0:interface=127.0.0.1"),
        *OPTIONS,
        *("--http-head-timeout", "20", "--http-idle-timeout", "60"),
    ]
    with ServerProcess(tmp_path_factory.mktemp("direct"), *options) as server:
        yield server
        assert server.errors() == []


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server where few may wait, for as long as they want."""
    options = ("--http-idle-connections", "4", "--http-idle-timeout", "0")
    with ServerProcess(tmp_path_factory.mktemp("crowded"), *LOOPBACK, *options) as server:
        yield server


def opens(server: ServerProcess, address: str) -> RawClient:
    """Return a WebSocket of a client with that address, by a proxy."""
    return RawClient(server.connect(), request(X_Forwarded_For=address))


def connects(server: ServerProcess, address: str) -> socket.socket:
    """Return a connection of a client with that address, by the PROXY protocol."""
    connection = server.connect()
    connection.sendall(PROXY % address.encode())
    return connection


def state_of_direct(server: ServerProcess, name: str) -> int:
    """Return a counter of a server that speaks the PROXY protocol."""
    with connects(server, "127.0.0.1") as connection, connection.makefile("rb") as file:
        connection.sendall(b"GET /state HTTP/1.0\r\n\r\n")
        text = file.read().partition(b"\r\n\r\n")[2].decode()
    return int(text.partition(f'"{name}": ')[2].partition(",")[0].rstrip("}"))


def test_websockets_of_an_address(limited: ServerProcess) -> None:
    """One more is refused with 429, until one ends; a /64 of IPv6 is one address."""
    before = count(limited, "address_refused")
    with ExitStack() as stack:
        clients = [stack.enter_context(opens(limited, f"2001:db8::{n}")) for n in range(3)]
        assert [client.status for client in clients] == [101] * 3
        with opens(limited, "2001:db8::99") as refused:
            assert refused.status == 429
            assert "Retry-After: 10" in refused.head
        with opens(limited, "2001:db8:0:1::1") as other:
            assert other.status == 101
        assert count(limited, "address_refused") == before + 1
        clients[0].finish()

        def has_place() -> bool:
            with opens(limited, "2001:db8::5") as client:
                return client.status == 101

        wait_until(has_place)


def test_handshakes_of_an_address(limited: ServerProcess) -> None:
    """More than ten at once, or one a second, are refused with 429; others are let in."""
    before = count(limited, "handshakes_refused")
    statuses: list[int] = []
    # On a busy machine more than one may be let in meanwhile, and often.
    while len(statuses) < 14 or (429 not in statuses and len(statuses) < 100):
        with opens(limited, "203.0.113.9") as client:
            statuses.append(client.status)
            if client.status == 101:
                client.finish()
    assert statuses[:10] == [101] * 10
    assert 429 in statuses[10:]
    assert count(limited, "handshakes_refused") == before + statuses.count(429)
    with opens(limited, "203.0.113.10") as client:
        assert client.status == 101


def test_proxies_on_this_machine_are_nobody(limited: ServerProcess) -> None:
    """Who is behind one that does not say for whom it asks is not known, and not counted."""
    with ExitStack() as stack:
        clients = [stack.enter_context(RawClient(limited.connect(), request())) for _ in range(30)]
        assert [client.status for client in clients] == [101] * 30


def has_all_places(direct: ServerProcess, address: str) -> bool:
    """Tell whether an address may have its three connections at a time."""
    with ExitStack() as stack:
        texts = []
        for _ in range(3):
            http = stack.enter_context(connects(direct, address))
            http.sendall(GET)
            texts.append(http.recv(65536))
        return all(text.endswith(b"GET ") for text in texts)


def test_connections_of_an_address(direct: ServerProcess) -> None:
    """HTTP and WebSockets count together; what becomes a WebSocket counts once."""
    before = state_of_direct(direct, "address_refused")
    with ExitStack() as stack:
        for _ in range(2):
            http = stack.enter_context(connects(direct, "203.0.113.1"))
            http.sendall(GET)
            assert http.recv(65536).endswith(b"GET ")
        client = RawClient(http, request())
        stack.enter_context(client)
        assert client.status == 101
        stack.enter_context(RawClient(connects(direct, "203.0.113.1"), request()))
        with connects(direct, "203.0.113.1") as refused:
            refused.sendall(GET)
            assert answer(refused).startswith(b"HTTP/1.1 429 ")
        with connects(direct, "203.0.113.2") as other:
            other.sendall(GET)
            assert other.recv(65536).endswith(b"GET ")
    assert state_of_direct(direct, "address_refused") == before + 1

    wait_until(lambda: has_all_places(direct, "203.0.113.1"))


def test_a_bad_upgrade_counts_on(direct: ServerProcess) -> None:
    """Daphne answers it with 400 and goes on: the connection has not become a WebSocket."""
    before = state_of_direct(direct, "address_refused")
    with ExitStack() as stack:
        for _ in range(3):
            http = stack.enter_context(connects(direct, "203.0.113.3"))
            http.sendall(BAD_UPGRADE)
            assert http.recv(65536).startswith(b"HTTP/1.1 400 ")
            http.sendall(GET)
            assert http.recv(65536).endswith(b"GET ")
        for _ in range(3):
            refused = stack.enter_context(connects(direct, "203.0.113.3"))
            refused.sendall(BAD_UPGRADE)
            assert answer(refused).startswith(b"HTTP/1.1 429 ")
        assert state_of_direct(direct, "address_refused") == before + 3

    def is_forgotten() -> bool:
        with connects(direct, "203.0.113.3") as connection:
            connection.sendall(GET)
            return connection.recv(65536).endswith(b"GET ")

    wait_until(is_forgotten)


def test_a_bad_upgrade_before_a_good_one(direct: ServerProcess) -> None:
    """In one go: the connection counts as a WebSocket's, once, and is forgotten with it."""
    for _ in range(5):
        with connects(direct, "203.0.113.4") as connection:
            connection.sendall(BAD_UPGRADE + request())
            received = b""
            while b"HTTP/1.1 101 " not in received:
                chunk = connection.recv(65536)
                assert chunk, received
                received += chunk
            assert received.startswith(b"HTTP/1.1 400 ")
        wait_until(lambda: has_all_places(direct, "203.0.113.4"))


@pytest.mark.parametrize("ends", [b"", b"\r\n\r\n"], ids=["open", "complete"])
def test_size_of_a_head(limited: ServerProcess, ends: bytes) -> None:
    """431, whether the end of the head has come or not."""
    before = count(limited, "heads_too_large")
    with limited.connect() as connection:
        connection.sendall(request()[:-4] + b"\r\nX: " + b"x" * 3000 + ends)
        assert answer(connection).startswith(b"HTTP/1.1 431 ")
    assert count(limited, "heads_too_large") == before + 1


def test_size_of_a_later_head(limited: ServerProcess) -> None:
    """Twisted answers 400 then."""
    with limited.connect() as connection:
        connection.sendall(GET)
        assert connection.recv(65536).endswith(b"GET ")
        connection.sendall(GET[:-2] + b"X: " + b"x" * 3000 + b"\r\n\r\n")
        assert answer(connection).startswith(b"HTTP/1.1 400 ")


def test_time_of_a_head(limited: ServerProcess) -> None:
    """408 where something was sent, an end where nothing was; also of a later request."""
    before = count(limited, "heads_timed_out")
    with limited.connect() as silent, limited.connect() as slow, limited.connect() as second:
        slow.sendall(GET[:20])
        second.sendall(GET)
        assert second.recv(65536).endswith(b"GET ")
        second.sendall(b"GET / HTTP/1.1\r\nHost")
        for connection in (slow, second):
            assert answer(connection).startswith(b"HTTP/1.1 408 ")
        with pytest.raises(ConnectionResetError):
            answer(silent)
    assert count(limited, "heads_timed_out") == before + 3


@pytest.mark.parametrize("begins", [b"", b"GET /"], ids=["silent", "half a line"])
def test_idle_connections_are_closed(limited: ServerProcess, begins: bytes) -> None:
    """In their time, though bytes of a line that does not end keep coming."""
    before = count(limited, "idle_closed")
    with limited.connect() as connection:
        connection.sendall(GET)
        assert connection.recv(65536).endswith(b"GET ")
        connection.settimeout(0.2)

        def is_closed() -> bool:
            try:
                connection.sendall(begins)
                return connection.recv(1) == b""
            except TimeoutError:
                return False
            except OSError:
                return True

        wait_until(is_closed)
    assert count(limited, "idle_closed") == before + 1


def test_number_of_connections_that_wait(limited: ServerProcess) -> None:
    """The one that has waited longest makes way; those that are served are not concerned."""
    before = count(limited, "idle_displaced")
    with ExitStack() as stack:
        client = stack.enter_context(RawClient(limited.connect(), request()))
        oldest = stack.enter_context(limited.connect())
        oldest.sendall(GET)
        assert oldest.recv(65536).endswith(b"GET ")
        others = [stack.enter_context(limited.connect()) for _ in range(8)]
        assert oldest.recv(1) == b""
        others[-1].sendall(GET)
        assert others[-1].recv(65536).endswith(b"GET ")
        client.send(frame(TEXT, b"still here"))
        received = client.read()
        assert received is not None
        assert received.payload == b"still here"
    assert count(limited, "idle_displaced") > before


def test_who_makes_way_after_a_stall_is_told(crowded: ServerProcess, tmp_path: Path) -> None:
    """Of a request that was not read: a POST is not sent again by itself."""
    os.mkfifo(pipe := tmp_path / "pipe")
    before = count(crowded, "full")
    with ExitStack() as stack:
        stalls = stack.enter_context(crowded.connect())
        head = [b"POST /still?%b HTTP/1.1" % bytes(pipe), b"Host: test", b"Content-Length: 2"]
        stalls.sendall(b"\r\n".join([*head, b"Expect: 100-continue", b"", b""]))
        assert stalls.recv(65536).startswith(b"HTTP/1.1 100 ")
        waiting = [stack.enter_context(crowded.connect()) for _ in range(4)]
        for connection in waiting:
            connection.sendall(GET)
            assert connection.recv(65536).endswith(b"GET ")
        stalls.sendall(b"hi")  # it will be the fifth that waits
        with pipe.open("wb"):  # it is open when the application stands still, until this ends
            waiting[0].sendall(POST)
        received = answer(waiting[0])
        assert received.startswith(b"HTTP/1.1 503 ")
        assert b"Retry-After: 5" in received
        assert stalls.recv(65536).endswith(b"\r\n\r\nhi")
    assert count(crowded, "full") == before + 1


def test_who_makes_way_gets_its_answer(crowded: ServerProcess) -> None:
    """Though most of it is not sent yet; who does not read it is cut off."""
    with ExitStack() as stack:
        reads, sleeps = (stack.enter_context(crowded.connect()) for _ in range(2))
        for connection in (reads, sleeps):
            connection.sendall(b"GET /large?30000000 HTTP/1.1\r\nHost: test\r\n\r\n")
            assert connection.recv(12) == b"HTTP/1.1 200"
        displaced = count(crowded, "idle_displaced")
        others = [stack.enter_context(crowded.connect()) for _ in range(4)]
        for connection in others:
            connection.sendall(GET)
            assert connection.recv(65536).endswith(b"GET ")
        assert count(crowded, "idle_displaced") >= displaced + 2
        assert len(answer(reads)) > 30_000_000
        wait_until(lambda: sleeps.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))


def test_idle_connections_end_in_order_over_tls(tmp_path: Path) -> None:
    """Those that make way, and those whose time is over."""
    certificate, key = make_certificate(tmp_path)
    endpoint = f"ssl:port=0:interface=127.0.0.1:privateKey={key}:certKey={certificate}"
    options = ("--http-idle-connections", "1", "--http-idle-timeout", "3")
    with ServerProcess(tmp_path, "-e", endpoint, *options) as server, ExitStack() as stack:
        connections: list[ssl.SSLSocket] = []
        for _ in range(2):
            connection = stack.enter_context(tls(server.connect(), certificate))
            connection.sendall(GET)
            assert connection.recv(65536).endswith(b"GET ")
            connections.append(connection)
        for connection in connections:
            assert connection.recv(1) == b""
            connection.unwrap().close()  # fails unless the server has said that it ends


def test_connections_that_wait_leave_files_to_others(tmp_path: Path) -> None:
    """Where open files are few, the one that has waited longest makes way before they are gone."""
    room = room_for_connections(64)
    with (
        ServerProcess(tmp_path, *LOOPBACK, open_files=64) as server,
        ExitStack() as stack,
    ):
        clients = [stack.enter_context(RawClient(server.connect())) for _ in range(room - 2)]
        waiting = [stack.enter_context(server.connect()) for _ in range(12)]
        with pytest.raises(ConnectionResetError):
            waiting[0].recv(1)
        waiting[-1].sendall(GET)
        assert waiting[-1].recv(65536).endswith(b"GET ")
        assert [client.status for client in clients] == [101] * len(clients)


def test_no_limits(tmp_path: Path) -> None:
    """0 turns each off."""
    options = [text if text.startswith("--") else "0" for text in OPTIONS]
    with (
        ServerProcess(
            tmp_path, *LOOPBACK, "--proxy-headers", *options, "--client-buffer-limit", "0"
        ) as server,
        ExitStack() as stack,
    ):
        idle = [stack.enter_context(server.connect()) for _ in range(10)]
        for _ in range(40):
            assert stack.enter_context(opens(server, "203.0.113.9")).status == 101
        idle[0].sendall(GET[:-2] + (b"X: " + b"x" * 7000 + b"\r\n") * 4 + b"\r\n")
        assert idle[0].recv(65536).endswith(b"GET ")


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "multipart/form-data"])
def test_forms_are_not_parsed(server: ServerProcess, kind: str) -> None:
    """Twisted would, in memory and while everybody waits; the application gets the body alone."""
    body = b"a=&" * 300_000
    head = [
        *("POST / HTTP/1.1", "Host: test", "Connection: close"),
        *(f"Content-Type: {kind}; boundary=a", f"Content-Length: {len(body)}", "", ""),
    ]
    with server.connect() as connection:
        connection.sendall("\r\n".join(head).encode() + body)
        assert answer(connection).endswith(b"POST " + body)
    with server.connect() as connection:
        connection.sendall(
            f"GET /scope HTTP/1.0\r\nContent-Type: {kind}\r\nContent-Length: 1\r\n\r\nx".encode()
        )
        assert kind.encode() in answer(connection)


def test_messages_that_are_too_large_are_counted(server: ServerProcess) -> None:
    """1009."""
    before = count(server, "messages_too_large")
    with RawClient(server.connect()) as client:
        client.send(frame(TEXT, b"x" * (1024 * 1024 + 1)))
        assert client.read_all()[-1].code == 1009
    assert count(server, "messages_too_large") == before + 1


@pytest.mark.slow
def test_refused_clients_that_stay_are_cut_off(tmp_path: Path) -> None:
    """A TLS session ends when both sides say so; a client that never does is not waited for."""
    certificate, key = make_certificate(tmp_path)
    endpoint = f"ssl:port=0:interface=127.0.0.1:privateKey={key}:certKey={certificate}"
    with ServerProcess(tmp_path, "-e", endpoint) as server:
        process = psutil.Process(server.process.pid)

        def connections() -> int:
            found = process.net_connections("tcp")
            return sum(each.status != psutil.CONN_LISTEN for each in found)

        with tls(server.connect(), certificate) as connection:
            connection.sendall(request(Host=None))
            assert connection.recv(65536).startswith(b"HTTP/1.1 400 ")
            assert connections() == 1
            wait_until(lambda: connections() == 0)
