"""The end of a server, on real processes: what clients, requests and applications see of it."""

from __future__ import annotations

import json
import re
import select
import signal
import socket
import ssl
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.server.client import CLOSE, PING, TEXT, RawClient, Received, close_frame, request
from tests.server.conftest import LOOPBACK
from tests.server.process import ServerProcess
from tests.server.test_endpoints import make_certificate, tls
from tests.waiting import PATIENCE, wait_until

APPLICATION = "tests.server.drain_application:application"

Start = Callable[..., ServerProcess]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Return what makes a server with options, and the application that keeps a diary."""

    def make(*options: str, **environ: str) -> ServerProcess:
        environ |= {"DIARY": str(tmp_path / "diary")}
        return ServerProcess(
            tmp_path, *LOOPBACK, *options, environ=environ, application=APPLICATION
        )

    return make


@pytest.fixture
def diary(tmp_path: Path) -> Callable[[], list[str]]:
    """Return what tells the events so far."""

    def read() -> list[str]:
        path = tmp_path / "diary"
        return path.read_text().split() if path.exists() else []

    return read


def words(client: RawClient) -> Received | None:
    """Return the next frame that is no ping; on a busy machine the server sends some."""
    frame = client.read()
    while frame is not None and frame.opcode == PING:
        frame = client.read()
    return frame


def answer(client: RawClient) -> None:
    """Answer the server's close, for which it does not wait for ever."""
    with suppress(OSError):
        client.send(close_frame(1012))


def terminate(server: ServerProcess) -> None:
    server.process.send_signal(signal.SIGTERM)


def ends(server: ServerProcess) -> int:
    """Wait for the end and return the exit code."""
    return server.process.wait(PATIENCE)


def get(server: ServerProcess, path: str) -> RawClient:
    """Begin a request, and return the connection."""
    return RawClient(server.connect(), b"GET %b HTTP/1.1\r\nHost: test\r\n\r\n" % path.encode())


def starts(server: ServerProcess, diary: Callable[[], list[str]]) -> None:
    """Wait until the server has signal handlers, which it has once it serves."""
    assert server.get("/") == b"serving"


def test_nobody_there(start: Start, diary: Callable[[], list[str]]) -> None:
    """Without clients it ends at once, and the application's lifespan ends in order."""
    with start() as server:
        starts(server, diary)
        began = time.monotonic()
        terminate(server)
        assert ends(server) == 0
        assert time.monotonic() - began < 9
        assert server.errors() == []
    assert diary() == ["startup", "shutdown"]


def test_all_consumers_are_told(start: Start, diary: Callable[[], list[str]]) -> None:
    """Each client is closed with 1012, and each `disconnect` runs before the lifespan ends."""
    paths = ["/async", "/sync", "/polite"]
    with start("--drain-seconds", "0") as server, ExitStack() as stack:
        clients = [
            stack.enter_context(RawClient(server.connect(), request(path))) for path in paths
        ]
        assert [client.status for client in clients] == [101] * 3
        terminate(server)
        closes = []
        for client in clients:
            frames = []
            while (frame := client.read()) is not None:
                frames.append(frame)
                if frame.opcode == CLOSE:
                    answer(client)
            closes.append(frames[-1].code)
        assert closes == [1012] * 3
        assert ends(server) == 0
        assert server.errors() == []
    assert sorted(diary()[1:-1]) == ["async-1012", "polite-1012", "sync-1012"]
    assert diary()[-1] == "shutdown"


def test_spread(start: Start) -> None:
    """Clients go a few at a time over the seconds, each told when to come back; pages go on.

    Who comes meanwhile gets 503.
    """
    count, seconds = 500, 5.0
    with start("--drain-seconds", str(seconds)) as server, ExitStack() as stack:
        clients = [
            stack.enter_context(RawClient(server.connect(), request("/polite")))
            for _ in range(count)
        ]
        began = time.monotonic()
        terminate(server)
        wait_until(lambda: server.get("/") == b"draining")
        with RawClient(server.connect(), request("/polite")) as late:
            assert late.status == 503
            assert "Retry-After" in late.head
        with get(server, "/") as page:
            assert page.status == 200
            assert "connection: close" in page.head.lower()
        times, delays = [], []
        pending = {client.socket: client for client in clients}
        while pending:
            readable, _, _ = select.select(list(pending), [], [], PATIENCE)
            assert readable
            for each in readable:
                client = pending.pop(each)
                times.append(time.monotonic() - began)
                last_words, close = words(client), words(client)
                assert last_words is not None
                assert close is not None
                delays.append(json.loads(last_words.payload)["back_in"])
                assert close.code == 1012
                answer(client)
        assert ends(server) == 0
        assert server.errors() == []
    assert max(times) > 0.8 * seconds
    by_second = Counter(int(when) for when in times)
    assert max(by_second.values()) <= 0.85 * count  # this process may see 3 s' worth at once
    assert len({round(delay, 4) for delay in delays}) > count * 0.8


def test_through_tls(start: Start, tmp_path: Path) -> None:
    """Clients behind TLS get their last words and the close as well."""
    certificate, key = make_certificate(tmp_path)
    endpoint = f"ssl:port=0:interface=127.0.0.1:privateKey={key}:certKey={certificate}"
    with start("-e", endpoint) as server:
        # It listens on two ports; the log names both.
        ports = {
            int(port) for port in re.findall(r"Listening on TCP address \S+:(\d+)", server.log)
        }
        with ExitStack() as stack:
            clients = []
            for port in ports:
                connection = socket.create_connection(("127.0.0.1", port), PATIENCE)
                try:
                    connection = tls(connection, certificate)
                except ssl.SSLError:  # the one without
                    connection.close()
                    continue
                clients.append(stack.enter_context(RawClient(connection, request("/polite"))))
            [client] = clients
            terminate(server)
            farewell, close = words(client), words(client)
            assert farewell is not None
            assert close is not None
            assert b"back_in" in farewell.payload
            assert close.code == 1012
            answer(client)
            assert ends(server) == 0
        assert server.errors() == []


def test_clients_that_do_not_read(start: Start, diary: Callable[[], list[str]]) -> None:
    """A client that neither reads nor answers is cut after a while, and its application told."""
    with start("--drain-seconds", "0") as server:
        stuck = RawClient(server.connect(receive_buffer=4096), request("/unread"))
        mute = RawClient(server.connect(), request("/async"))
        assert stuck.status == mute.status == 101
        terminate(server)
        assert ends(server) == 0
        stuck.disconnect()
        mute.disconnect()
    assert sorted(diary()[1:-1]) == ["async-1012", "unread-1012"]


def test_requests_under_way_are_answered(start: Start, diary: Callable[[], list[str]]) -> None:
    """A slow view and a slow download both end as they would have."""
    with start("--drain-seconds", "0") as server, server.connect(receive_buffer=4096) as slow:
        slow.sendall(b"GET /large HTTP/1.0\r\n\r\n")
        with server.connect() as connection:
            connection.sendall(b"GET /slow HTTP/1.0\r\n\r\n")
            wait_until(lambda: "slow-begun" in diary())
            terminate(server)
            with connection.makefile("rb") as answer:
                assert answer.read().endswith(b"done")
        with slow.makefile("rb") as answer:
            assert len(answer.read().partition(b"\r\n\r\n")[2]) == 20_000_000
        assert ends(server) == 0
        assert server.errors() == []


def test_what_does_not_end_is_cancelled(start: Start, diary: Callable[[], list[str]]) -> None:
    """Applications and requests get `--application-close-timeout`, and the lifespan its turn."""
    options = ("--drain-seconds", "0", "--application-close-timeout", "1")
    with start(*options) as server, server.connect() as connection:
        connection.sendall(b"GET /endless HTTP/1.0\r\n\r\n")
        clients = [RawClient(server.connect(), request(path)) for path in ("/deaf", "/immortal")]
        wait_until(lambda: "endless-begun" in diary())
        terminate(server)
        assert ends(server) == 0
        for client in clients:
            client.disconnect()
        assert "3 applications did not end in time" in server.log
    assert {"deaf-cancelled", "endless-cancelled", "immortal-cancelled"} <= set(diary())
    assert "shutdown" in diary()


def test_tasks_of_an_application_without_lifespan_end(
    start: Start, diary: Callable[[], list[str]]
) -> None:
    """What runs in the loop is cancelled last, and may give back what it has."""
    with start(NO_LIFESPAN="1") as server:
        assert server.get("/leftover") == b"serving"
        terminate(server)
        assert ends(server) == 0
        assert server.errors() == []
    assert diary() == ["leftover-ended"]


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_second_signal_ends_at_once(start: Start, second: signal.Signals) -> None:
    """Whoever sends another signal does not want to wait."""
    with start("--drain-seconds", "60", "--shutdown-timeout", "0") as server, ExitStack() as stack:
        for _ in range(300):
            stack.enter_context(RawClient(server.connect(), request("/polite")))
        terminate(server)
        wait_until(lambda: server.get("/") == b"draining")
        server.process.send_signal(second)
        assert ends(server) == -second


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_first_signal_disturbs_no_end(
    start: Start, diary: Callable[[], list[str]], tmp_path: Path, number: signal.Signals
) -> None:
    """A worker that was told to drain has ended in order, also if a supervisor is that late."""
    released = tmp_path / "released"
    with start(LAST=str(released)) as server:
        server.get("/drain")
        wait_until(lambda: "last" in diary())
        server.process.send_signal(number)
        released.touch()
        assert ends(server) == 0
        assert server.errors() == []
    assert diary() == ["startup", "shutdown", "last"]


def test_interrupt_does_not_spread(start: Start) -> None:
    """Ctrl-C sends all away at once: somebody sits there and waits."""
    options = ("--drain-seconds", "60", "--shutdown-timeout", "0")
    with start(*options) as server, ExitStack() as stack:
        clients = [
            stack.enter_context(RawClient(server.connect(), request("/polite"))) for _ in range(200)
        ]
        began = time.monotonic()
        server.process.send_signal(signal.SIGINT)
        for client in clients:
            farewell, close = words(client), words(client)
            assert farewell is not None
            assert close is not None
            assert (farewell.opcode, close.code) == (TEXT, 1012)
            answer(client)
        assert ends(server) == 0
        assert time.monotonic() - began < 15


@pytest.mark.parametrize("what", ["hang", "immortal"])
def test_the_end_has_a_limit(start: Start, diary: Callable[[], list[str]], what: str) -> None:
    """Past `--shutdown-timeout` the process ends with 1 and says where it stood."""
    options = [
        *("--shutdown-timeout", "8", "--drain-seconds", "0"),
        *("--application-close-timeout", "30"),
    ]
    with start(*options) as server, server.connect() as connection:
        assert server.get("/") == b"serving"
        if what == "hang":
            connection.sendall(b"GET /hang HTTP/1.0\r\n\r\n")
            wait_until(lambda: "hang-begun" in diary())
        else:
            connection.sendall(request("/immortal"))
            connection.recv(1)
        terminate(server)
        code = ends(server)
        if what == "hang":
            assert code == 1
            assert "It did not stop in 8 s." in server.log
            assert "time.sleep(60)" in server.log
        else:
            assert code in (0, 1)
