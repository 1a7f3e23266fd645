"""However a connection ends, its objects are freed at once: nothing waits for the collector.

The collector runs rarely here, and a connection that ended may have held a megabyte.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import struct
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from itertools import count
from pathlib import Path
from threading import Lock
from typing import Any

import pytest

from tests.server.balancer import Door, ScriptedBalancer
from tests.server.client import BINARY, CONT, TEXT, RawClient, close_frame, frame, request
from tests.server.conftest import LOOPBACK
from tests.server.process import ServerProcess
from tests.server.test_deflate import OFFER, RSV1, deflated
from tests.server.test_endpoints import PROXY, make_certificate, tls
from tests.waiting import PATIENCE, wait_until

MOST = 60_000  # bytes that a message may have
Connect = Callable[[], socket.socket]

FILLED = (
    "shardlayer.server.handshake.Opening",
    "shardlayer.server.websocket_protocol.WebSocketProtocol",
    "websockets.server.ServerProtocol",
)

OPTIONS = (
    *("--ping-interval", "1", "--ping-timeout", "1", "--websocket_connect_timeout", "1"),
    *("--websocket-max-message-size", str(MOST), "--client-buffer-limit", "100000"),
    *("--client-frame-rate", "100", "--client-message-timeout", "1"),
    *("--application-close-timeout", "1", "--proxy-headers"),
    *("--http-request-timeout", "1", "--http-max-body-size", "100000"),
    *("--websocket-compression", "6"),
)


class Place:
    """A server and how its clients come in."""

    def __init__(
        self,
        server: ServerProcess,
        connect: Connect,
        *,
        is_tls: bool = False,
        is_adopting: bool = False,
    ) -> None:
        self.server = server
        self.connect = connect
        self.is_tls = is_tls
        self.is_adopting = is_adopting

    def open(self, opening: bytes | None = None) -> RawClient:
        """Return a WebSocket client."""
        return RawClient(self.connect(), opening)

    def garbage(self) -> list[str]:
        """Return what the collector finds that nobody uses."""
        return list(self.ask("/garbage"))

    def left(self) -> dict[str, int]:
        """Return how many objects of connections there are, beside those of the one that asks.

        Twisted's TLS leaves a cycle of its own for each connection, with what is below the
        WebSocket in it; so on TLS only what a client can fill is counted.
        """
        found: dict[str, int] = self.ask("/objects")
        return {name: count for name, count in found.items() if not self.is_tls or name in FILLED}

    def ask(self, path: str) -> Any:
        """Return the answer of the tests' application."""
        with self.connect() as connection, connection.makefile("rb") as answer:
            connection.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            return json.loads(answer.read().partition(b"\r\n\r\n")[2])


@pytest.fixture(scope="module", params=["tcp", "ssl", "haproxy", "balancer"])
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    """A server with low limits, on each transport, and one that a balancer gives its clients."""
    directory = tmp_path_factory.mktemp("garbage")
    if request.param == "balancer":
        yield from adopting(directory)
        return
    endpoint, certificate = "tcp:port=0:interface=127.0.0.1", None
    if request.param == "ssl":
        certificate, key = make_certificate(directory)
        endpoint = f"ssl:port=0:interface=127.0.0.1:privateKey={key}:certKey={certificate}"
    elif request.param == "haproxy":
        endpoint = f"haproxy:{endpoint}"

    def connect() -> socket.socket:
        connection = server.connect(receive_buffer=4096)
        if certificate is not None:
            return tls(connection, certificate)
        if request.param == "haproxy":
            connection.sendall(PROXY)
        return connection

    with ServerProcess(directory, "-e", endpoint, *OPTIONS) as server:
        yield Place(server, connect, is_tls=certificate is not None)


def adopting(directory: Path) -> Iterator[Place]:
    """Yield a server whose clients a balancer has accepted."""
    arriving, given = Lock(), count(1)
    with closing(Door()) as door, ScriptedBalancer(directory / "balancer.sock") as balancer:

        def connect() -> socket.socket:
            with arriving:  # else one could get what another has connected
                client, accepted = door.pair()
                link.give(accepted, age=-PATIENCE)  # none is too old, however busy the machine
                link.read_load(taken=next(given))
            return client

        options = (*LOOPBACK, *OPTIONS, "--balancer", str(balancer.path))
        with ServerProcess(directory, *options) as server:
            link = balancer.worker()
            link.read_join()
            yield Place(server, connect, is_adopting=True)


def sends(data: bytes, opening: bytes | None = None) -> Callable[[Place], None]:
    """A client that sends something, and reads to the end that the server makes of it."""

    def way(place: Place) -> None:
        with place.open(opening) as client:
            client.send(data)
            client.read_all()

    return way


def reads(opening: bytes) -> Callable[[Place], None]:
    """A client that is sent away by an answer to its handshake, or closed soon after."""

    def way(place: Place) -> None:
        with place.open(opening) as client:
            client.read_to_close() if client.status == 101 else client.rest()

    return way


def talks(data: bytes) -> Callable[[Place], None]:
    """A client of HTTP that sends something and reads to the end."""

    def way(place: Place) -> None:
        with place.connect() as connection:
            connection.sendall(data)
            while connection.recv(65536):
                pass

    return way


def drops(data: bytes, *, hard: bool = False) -> Callable[[Place], None]:
    """A client that sends something and is gone."""

    def way(place: Place) -> None:
        with place.connect() as connection:
            connection.sendall(data)
            if hard:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return way


def drops_open(place: Place) -> None:
    with place.open() as client:
        client.send(frame(TEXT, b"hello"))
        client.read()


def is_slow(place: Place) -> None:
    with place.open(request("/room")) as client:
        command = {"broadcast": 200, "size": 100_000}
        client.send(frame(TEXT, json.dumps(command).encode()))
        client.read_to_close()


def is_slow_and_deaf(place: Place) -> None:
    with place.open(request("/room")) as client:
        command = {"broadcast": 200, "size": 100_000}
        client.send(frame(TEXT, json.dumps(command).encode()))
        wait_until(lambda: client.is_cut_off())


def upgrades(place: Place) -> None:
    connection = place.connect()
    connection.sendall(b"GET /large?10 HTTP/1.1\r\nHost: test\r\n\r\n")
    said = b""
    while not said.endswith(b"x" * 10):
        said += connection.recv(4096)
    with RawClient(connection, request()) as client:
        client.send(frame(TEXT, b"hello"))
        client.read()
        client.finish()


def is_in_a_compressed_room(place: Place) -> None:
    with place.open(compressing("/room")) as client:
        assert "permessage-deflate" in client.head
        client.send(compressed(json.dumps({"broadcast": 100, "size": 1000}).encode()))
        client.read()
        client.finish()


def compressing(path: str = "/echo") -> bytes:
    """Return a handshake that offers compression."""
    return request(path, Sec_WebSocket_Extensions=OFFER)


def compressed(data: bytes, *, fin: bool = True) -> bytes:
    """Return a frame with a compressed text, or with the first half of it."""
    payload = deflated(data)
    return frame(TEXT, payload if fin else payload[: len(payload) // 2], fin=fin, rsv=RSV1)


GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"
CLOSE = b"GET / HTTP/1.0\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n"
SOME = os.urandom(20_000).hex().encode()  # of which compression leaves half
HALF = frame(TEXT, b"x" * 50_000, fin=False)

WAYS: dict[str, Callable[[Place], None]] = {
    "closed by the client": sends(frame(TEXT, b"hello") + close_frame(1000)),
    "closed by the client within a message": sends(HALF + close_frame(1000)),
    "closed by the application": reads(request("/close?code=4000")),
    "closed with a code that may not be sent": reads(request("/close?code=5000")),
    "application has returned": reads(request("/leave?open")),
    "application has failed": reads(request("/crash?open")),
    "dropped by the client": drops_open,
    "dropped within a message": drops(request() + HALF),
    "reset by the client": drops(request(), hard=True),
    "application goes on": drops(request("/stubborn")),
    "protocol error": sends(frame(CONT, b"of nothing")),
    "protocol error within a message": sends(HALF + frame(TEXT, b"another")),
    "no mask": sends(frame(TEXT, b"hello", mask=False)),
    "no text": sends(frame(TEXT, b"\xff")),
    "frame too large": sends(frame(BINARY, b"x" * (MOST + 1))),
    "message too large": sends(HALF + frame(CONT, b"x" * 50_000)),
    "too many frames": sends(frame(TEXT) * 3000),
    "message that does not end": sends(HALF),
    "ping not answered": sends(b""),
    "too slow": is_slow,
    "too slow and deaf": is_slow_and_deaf,
    "compressed, closed by the client": sends(
        compressed(b"hello" * 99) + close_frame(1000), compressing()
    ),
    "compressed, closed by the application": reads(compressing("/close?code=4000")),
    "compressed, application has failed": reads(compressing("/crash?open")),
    "compressed, dropped": drops(compressing() + compressed(b"hello")),
    "compressed, dropped within a message": drops(compressing() + compressed(SOME, fin=False)),
    "compressed, closed within a message": sends(
        compressed(SOME, fin=False) + close_frame(1000), compressing()
    ),
    "compressed, in a room": is_in_a_compressed_room,
    "compressed, bytes that are none": sends(frame(TEXT, b"\xff" * 99, rsv=RSV1), compressing()),
    "compressed, bad bytes later": sends(
        compressed(SOME, fin=False) + frame(CONT, b"\xff" * 9_999), compressing()
    ),
    "compressed, message too large": sends(compressed(b"x" * (MOST + 1)), compressing()),
    "compressed, no text": sends(compressed(b"\xff"), compressing()),
    "compressed, without an agreement": sends(compressed(b"hello")),
    "compressed, message that does not end": sends(compressed(SOME, fin=False), compressing()),
    "compressed, dropped before the answer": drops(compressing("/silent") + compressed(b"hello")),
    "bad offer of compression": reads(request(Sec_WebSocket_Extensions="permessage-deflate; =")),
    "declined offer of compression": sends(
        close_frame(1000), request(Sec_WebSocket_Extensions="permessage-deflate; unknown")
    ),
    "rejected": reads(request("/reject")),
    "denied": reads(request("/deny")),
    "application has failed before": reads(request("/crash")),
    "application has returned before": reads(request("/leave")),
    "application does not answer": reads(request("/silent")),
    "accepted with a bad header": reads(request("/accept?header=Upgrade:x")),
    "dropped before the answer": drops(request("/silent")),
    "dropped before the answer, with frames": drops(request("/silent") + frame(TEXT, b"x" * 5000)),
    "bad head": reads(request(X="\x00")),
    "bad target": reads(request("/\xe9")),
    "head too large": reads(request(X="x" * 9000)),
    "bad key": reads(request(Sec_WebSocket_Key="short")),
    "bad upgrade": reads(request(Connection="close")),
    "bad version of HTTP": reads(request().replace(b"HTTP/1.1", b"HTTP/1.0")),
    "bad subprotocol": reads(request(Sec_WebSocket_Protocol="a b")),
    "no host": reads(request(Host=None)),
    "bad root path": reads(request(Daphne_Root_Path="//evil")),
    "head that does not end": drops(b"GET / HTTP/1.1\r\n"),
    "upgrade after HTTP": upgrades,
    "bad upgrade after HTTP": talks(GET + request(Host=None)),
    "rejected after HTTP": talks(GET + request("/reject")),
    "dropped after HTTP": drops(GET + request("/silent")),
    "HTTP": talks(GET * 3 + CLOSE),
    "HTTP with a body": talks(POST + b"Content-Length: 5\r\n\r\nhello"),
    "HTTP in chunks": talks(POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"),
    "HTTP body too large": talks(POST + b"Content-Length: 100001\r\n\r\nhello"),
    "HTTP chunks too large": talks(
        POST + b"Transfer-Encoding: chunked\r\n\r\n" + (b"f000\r\n" + b"x" * 0xF000 + b"\r\n") * 2
    ),
    "HTTP body that does not end": talks(POST + b"Content-Length: 6\r\n\r\nhello"),
    "HTTP dropped within a body": drops(POST + b"Content-Length: 6\r\n\r\nhello"),
    "HTTP bad root path": talks(CLOSE[:-2] + b"Daphne-Root-Path: //evil\r\n\r\n"),
    "HTTP bad header": talks(CLOSE[:-2] + b"X: \x85\r\n\r\n"),
    "HTTP bad request": talks(b"GET\r\n\r\n"),
}


LONG = (
    *("message that does not end", "compressed, message that does not end", "ping not answered"),
    *("too slow", "too slow and deaf", "application goes on", "application does not answer"),
    "HTTP body that does not end",
)
"""Ways that take seconds. Nothing in them depends on who has accepted the connection."""


def run_all(place: Place) -> None:
    """Go each way, all at a time."""
    ways = {way: end for way, end in WAYS.items() if way not in LONG or not place.is_adopting}
    with ThreadPoolExecutor(len(ways)) as pool:
        for way, run in {way: pool.submit(end, place) for way, end in ways.items()}.items():
            try:
                run.result()
            except Exception as error:
                raise AssertionError(f"The connection was not ended as it should: {way}") from error


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_nothing_is_left(place: Place) -> None:
    """What a connection was made of is freed when it ends, by reference counts alone.

    All ways at once. To find which one leaves something, comment out the others.
    """
    place.garbage()  # from here on the collector runs only when it is asked for
    run_all(place)  # what is made once stays
    wait_until(lambda: place.left() == {}, what=str(place.left()))
    place.garbage()
    run_all(place)
    wait_until(lambda: place.left() == {}, what=str(place.left()))
    if not place.is_tls:
        assert place.garbage() == []


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_nothing_is_left_by_a_stop(tmp_path: Path, stop: signal.Signals) -> None:
    """Connections that a stop ends, open, opening, closing or busy, leave nothing behind either."""
    with (
        ServerProcess(tmp_path, *LOOPBACK, environ={"SHOW_GARBAGE": "1"}) as server,
        ExitStack() as stack,
    ):
        for opening in (request(), request("/room"), request("/close?code=4000")):
            stack.enter_context(RawClient(server.connect(), opening)).send(HALF)
        for data in (request("/silent"), request()[:-2], POST + b"Content-Length: 6\r\n\r\nhello"):
            stack.enter_context(server.connect()).sendall(data)
        wait_until(lambda: server.state()["members"] == 1)
        server.process.send_signal(stop)
        assert server.process.wait(PATIENCE) == 0
        left = re.search(r"Left at the end: (.*)", server.log)
        assert left is not None
        ours = [name for name in json.loads(left[1]) if is_of_a_connection(name)]
        assert ours == []


def is_of_a_connection(name: str) -> bool:
    """Say whether a type is one that each connection has objects of."""
    return name.startswith(("shardlayer.server.", "websockets.", "twisted.web.http."))
