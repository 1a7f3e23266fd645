"""Clients of streams that never read again, and clients of one address, on real servers."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest

from demo.embedded import free_port
from tests.realtime.event_streams.stream import SocketStream
from tests.realtime.process import BIN, Process
from tests.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.slow

IDLE_LIMIT = 80  # seconds: Twisted's, from the end of an answer until its client is cut off

APPLICATION = "tests.realtime.event_streams.stuck_site:application"
SETTINGS = {
    "MAX_CLIENT_BUFFER": 20_000_000,
    "MAX_ADDRESS_STREAMS": 3,
    "ROOMS": {"*": {"subscribe": "anyone", "history": None}},
}
PROXY = {
    "shardlayer-daphne": ["--proxy-headers"],
    "uvicorn": ["--proxy-headers", "--forwarded-allow-ips", "*"],
}


class Site:
    """A server of streams."""

    def __init__(self, server: str, port: int, process: Process) -> None:
        self.server = server
        self.port = port
        self.process = process

    def ask(self, path: str = "/?room=a") -> dict[str, int]:
        """Have something done; return the counters and the members of the room."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        with closing(connection):
            connection.request("GET", path)
            state: dict[str, int] = json.loads(connection.getresponse().read())
            return state

    @contextmanager
    def stuck(self) -> Iterator[socket.socket]:
        """Yield the connection of user 7's stream, to whom more was sent than it will read."""
        with socket.socket() as lazy:
            lazy.settimeout(PATIENCE)
            lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            lazy.connect(("127.0.0.1", self.port))
            lazy.sendall(b"GET /sse/?room=a HTTP/1.1\r\nHost: 127.0.0.1\r\nX-User: 7\r\n\r\n")
            assert lazy.recv(12) == b"HTTP/1.1 200"
            wait_until(lambda: self.ask()["members"] == 1)
            state = self.ask("/publish?room=a&times=60&size=200000")  # 12 MB
            assert (state["members"], state["slow_closed"]) == (1, 0)
            yield lazy


@pytest.fixture(params=["shardlayer-daphne", "uvicorn"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """Each server in turn, behind a proxy that it believes."""
    server, port = request.param, free_port()
    program = [sys.executable, "-m", "uvicorn", "--host", "127.0.0.1", "--lifespan", "off"]
    if server == "shardlayer-daphne":
        program = [str(BIN / server), "-b", "127.0.0.1"]
    number = ["--port", str(port)]
    process = Process(
        [*program, *number, *PROXY[server], APPLICATION],
        log=tmp_path / "server.log",
        REALTIME=json.dumps(SETTINGS),
        DJANGO_SETTINGS_MODULE="tests.realtime.limited.settings",
    )
    with process:
        process.serves(port)
        yield Site(server, port, process)
        assert "Traceback" not in process.output()


def is_cut_off(client: socket.socket) -> bool:
    """Tell whether the connection was reset, without a look at what arrived before."""
    return client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0


@pytest.mark.parametrize(
    "ends",
    ["/publish?room=a&times=120&size=200000", "/disconnect?room=a&user=7"],
    ids=["too far behind", "signed out"],
)
def test_who_never_reads_keeps_nothing(site: Site, ends: str) -> None:
    """Neither its rooms nor what is queued, nor the connection, as far as that is in our hands.

    Where it is not, on uvicorn, it keeps its place, until it reads and is told, or leaves.
    """
    with site.stuck() as lazy:
        site.ask(ends)
        wait_until(lambda: site.ask()["members"] == 0)
        if site.server == "shardlayer-daphne":
            # At once, or as one that is idle, if the kernel had just taken the stream's end.
            wait_until(lambda: is_cut_off(lazy), within=IDLE_LIMIT + PATIENCE)
        else:
            assert site.ask()["streams_open"] == 1
            received = b""
            while b"event: close" not in received:
                chunk = lazy.recv(1_000_000)
                assert chunk
                received = received[-400:] + chunk
        wait_until(lambda: site.ask()["streams_open"] == 0)
    assert "took too long" not in site.process.output()
    assert "without completing" not in site.process.output()


@pytest.mark.parametrize("site", ["uvicorn"], indirect=True)
def test_who_leaves_gives_its_place_back(site: Site) -> None:
    """Without a word of error."""
    with site.stuck():
        site.ask("/disconnect?room=a&user=7")
        wait_until(lambda: site.ask()["members"] == 0)
        assert site.ask()["streams_open"] == 1
    wait_until(lambda: site.ask()["streams_open"] == 0)
    assert "ERROR" not in site.process.output()


@pytest.mark.parametrize("site", ["shardlayer-daphne"], indirect=True)
def test_who_never_reads_holds_up_no_stop(site: Site) -> None:
    """A server that stops cuts it off, before it has to kill what serves it.

    Uvicorn waits for its clients, unless it is told for how long.
    """
    with site.stuck() as lazy:
        os.kill(site.process.pid, signal.SIGTERM)
        wait_until(lambda: is_cut_off(lazy))
        wait_until(lambda: not site.process.runs(), what=site.process.output())
    assert "killed" not in site.process.output()


def test_streams_of_an_address(site: Site) -> None:
    """One more is asked to come back later, until one ends; other addresses have their own."""
    before = site.ask()["streams_full"]
    with ExitStack() as stack:

        def opens(address: str) -> SocketStream:
            return stack.enter_context(SocketStream(site.port, "room=a", x_forwarded_for=address))

        streams = [opens(f"2001:db8::{number}") for number in range(3)]
        assert ["subscribed" in stream.message().data for stream in streams] == [True] * 3
        refused = opens("2001:db8::99").message()
        assert (refused.type, refused.data["code"]) == ("close", 1013)
        assert refused.data["reason"] == "too many streams of this address"
        assert "subscribed" in opens("2001:db8:0:1::1").message().data
        assert site.ask()["streams_full"] == before + 1
        streams[0].__exit__(None, None, None)
        wait_until(lambda: "subscribed" in opens("2001:db8::5").message().data)
