"""The server's life cycle, its options and its limits in time."""

from __future__ import annotations

import gc
import json
import signal
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.server.client import (
    CLOSE,
    CONT,
    PING,
    PONG,
    TEXT,
    RawClient,
    Received,
    close_frame,
    frame,
    request,
)
from tests.server.conftest import LOOPBACK
from tests.server.process import ServerProcess
from tests.waiting import PATIENCE, wait_until


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with short limits in time, behind a proxy that it believes."""
    options = [
        *("--ping-interval", "1", "--ping-timeout", "3", "--websocket_connect_timeout", "1"),
        *("--proxy-headers", "--root-path", "/base", "--server-name", "mine"),
        *("--websocket-max-message-size", "1000", "--websocket-max-frame-size", "600"),
    ]
    with ServerProcess(tmp_path_factory.mktemp("impatient"), *LOOPBACK, *options) as process:
        yield process


def words(client: RawClient) -> Received | None:
    """Return the next frame that is no ping."""
    frame = client.read()
    while frame is not None and frame.opcode == PING:
        frame = client.read()
    return frame


def test_ping_timeout(impatient: ServerProcess) -> None:
    """A client that doesn't answer pings is closed; one that does outlives it."""
    with RawClient(impatient.connect()) as dead, RawClient(impatient.connect()) as alive:
        for _ in range(2):
            ping = alive.read()
            assert ping is not None
            assert ping.opcode == PING
            alive.send(frame(PONG, ping.payload))
        ping, close = dead.read_all()
        assert ping.opcode == PING
        assert (close.opcode, close.code) == (CLOSE, 1011)
        alive.send(frame(TEXT, b"still here"))
        echo = words(alive)
        assert echo is not None
        assert echo.payload == b"still here"
    assert impatient.state()["counters"]["ping_timeouts"] >= 1
    assert impatient.state()["counters"]["pings"] >= 3


def test_connect_timeout(impatient: ServerProcess) -> None:
    """An application that doesn't answer the handshake in time makes HTTP 504: come again."""
    with RawClient(impatient.connect(), request("/silent")) as client:
        assert client.status == 504
        assert "Retry-After: 5" in client.head


def test_size_options(impatient: ServerProcess) -> None:
    """Frames and messages have limits of their own, told by 1009."""
    fragments = frame(TEXT, b"a" * 600, fin=False) + frame(CONT, b"a" * 400)
    with RawClient(impatient.connect()) as client:
        client.send(fragments)
        echo = words(client)
        assert echo is not None
        assert echo.payload == b"a" * 1000
    for sends in (
        frame(TEXT, b"a" * 601),
        frame(TEXT, b"a" * 600, fin=False) + frame(CONT, b"a" * 401),
    ):
        with RawClient(impatient.connect()) as client:
            client.send(sends)
            close = client.read_all()[-1]
            assert (close.opcode, close.code) == (CLOSE, 1009)


def test_proxy_options(impatient: ServerProcess) -> None:
    """A believed proxy tells the client's address and scheme; root path and name are options."""
    opening = request(
        "/scope",
        X_Forwarded_For="192.0.2.9, 10.0.0.1",
        X_Forwarded_Port="1234",
        X_Forwarded_Proto="https",
    )
    with RawClient(impatient.connect(), opening) as client:
        assert "Server: mine" in client.head
        received = client.read()
        assert received is not None
        scope = json.loads(received.payload)
    assert scope["client"] == ["192.0.2.9", 1234]
    assert scope["scheme"] == "wss"
    assert scope["root_path"] == "/base"


def test_underscore_header(impatient: ServerProcess) -> None:
    """A header with an underscore never reaches the application (CVE-2015-0219)."""
    opening = request("/scope").replace(b"Host: test", b"Host: test\r\nX_Forwarded_For: 192.0.2.66")
    with RawClient(impatient.connect(), opening) as client:
        received = client.read()
        assert received is not None
        assert b"192.0.2.66" not in received.payload


def test_websocket_timeout(tmp_path: Path) -> None:
    """A WebSocket that has been open for too long is closed with 1000."""
    with (
        ServerProcess(tmp_path, *LOOPBACK, "--websocket_timeout", "0") as server,
        RawClient(server.connect()) as client,
    ):
        close = client.read()
        assert close is not None
        assert (close.opcode, close.code) == (CLOSE, 1000)
        assert server.state()["counters"]["lifetimes_ended"] == 1


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_clean_stop(tmp_path: Path, stop: signal.Signals) -> None:
    """A signal sends clients away with 1012, ends at once with 0, and logs no error."""
    with ServerProcess(tmp_path, *LOOPBACK) as server:
        half_sent = server.connect()
        half_sent.sendall(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 9\r\n\r\nhalf")
        idle = server.connect()
        with (
            half_sent,
            idle,
            RawClient(server.connect()) as client,
            RawClient(server.connect(), request("/room")) as other,
        ):
            began = time.monotonic()
            server.process.send_signal(stop)
            for each in (client, other):
                close = each.read()
                assert close is not None
                assert (close.opcode, close.code) == (CLOSE, 1012)
                with suppress(OSError):  # it does not wait for ever
                    each.send(close_frame(1012))
            assert server.process.wait(PATIENCE) == 0
            assert time.monotonic() - began < 9
        assert server.errors() == []


def test_application_close_timeout(tmp_path: Path) -> None:
    """An application that goes on without its client is cancelled, and the log says which."""
    with ServerProcess(tmp_path, *LOOPBACK, "--application-close-timeout", "1") as server:
        RawClient(server.connect(), request("/stubborn")).disconnect()
        wait_until(lambda: "path='/stubborn'> did not end in time" in server.log)
        assert server.state()["counters"]["applications_killed"] == 1


def test_garbage_collector(server: ServerProcess, tmp_path: Path) -> None:
    """Once the application is loaded the collector leaves it out and runs less often."""
    tuned = server.state()["gc"]
    assert tuned["threshold"] == 10_000
    assert tuned["frozen"] > 10_000
    with ServerProcess(tmp_path, *LOOPBACK, "--gc-threshold", "0") as plain:
        assert plain.state()["gc"]["threshold"] == gc.get_threshold()[0]
        assert plain.state()["gc"]["frozen"] < 10_000


def has_heard(server: ServerProcess, disconnects: int) -> bool:
    """Tell whether the application has heard of so many disconnects."""
    return len(server.state()["disconnects"]) == disconnects


def test_port_taken(server: ServerProcess, tmp_path: Path) -> None:
    """A port that is taken ends the server with an error, as Daphne does."""
    port = server.address[1]
    with pytest.raises(RuntimeError, match="Listen failure"):
        ServerProcess(tmp_path, "-b", "127.0.0.1", "-p", str(port)).__enter__()


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_access_log(tmp_path: Path, unbuffered: str) -> None:
    """Daphne's access log has the lines that it always had, each as soon as it is true."""
    environ = {"PYTHONUNBUFFERED": unbuffered}
    with ServerProcess(tmp_path, *LOOPBACK, environ=environ) as server:
        with RawClient(server.connect(), request("/scope?a=1")):
            pass
        RawClient(server.connect(), request("/reject")).disconnect()
        wait_until(lambda: server.log.count("WSDISCONNECT /") == 2)
        for line in ("WSCONNECTING /scope", "WSCONNECT /scope", "WSREJECT /reject"):
            assert f'"{line}"' in server.log


def test_access_log_of_who_leaves_early(tmp_path: Path) -> None:
    """A client that leaves while its handshake is under way is logged as coming and going."""
    with ServerProcess(tmp_path, *LOOPBACK) as server:
        for number in range(20):
            connection = server.connect()
            connection.sendall(request("/silent"))
            if number % 2:  # with a reset
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
        wait_until(lambda: server.log.count("WSDISCONNECT /silent") == 20)
        assert server.log.count("WSCONNECTING /silent") == 20
        assert server.errors() == []
