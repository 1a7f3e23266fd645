"""Each limit of `REALTIME` on a worker: what the client is told, and what is counted."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from http.client import HTTPConnection
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from demo.embedded import free_port
from tests.realtime.process import BIN, Process
from tests.waiting import PATIENCE, wait_until

LIMITS = {
    "MAX_CLIENT_ANSWER": 1_000,
    "MAX_CLIENT_COMMANDS": 2,
    "MAX_CLIENT_HISTORY": 3,
    "MAX_CLIENT_MESSAGE": 2_000,
    "MAX_CLIENT_NEW_ROOMS": 0.001,
    "MAX_CLIENT_PUBLISHES": 0.3,
    "MAX_NODE_ROOMS": 13,
    "MAX_ROOMS_PER_CLIENT": 4,
    "MAX_ROOMS_PER_FRAME": 6,
    "MAX_ROOM_MEMBERS": 2,
    "MAX_USER_CONNECTIONS": 2,
    "MAX_USER_PUBLISHES": 0.4,
    "SUBSCRIBE_TIMEOUT": 6,  # long enough for what the other tests do first
}
BEGINNING = {"offset": 0, "epoch": ""}


class Worker:
    """A worker with LIMITS, and a way to it as clients of several addresses and users."""

    def __init__(self, port: int) -> None:
        self.port = port

    def count(self, name: str) -> int:
        """Return a counter."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        connection.request("GET", "/")
        counts: dict[str, int] = json.loads(connection.getresponse().read())
        connection.close()
        return counts[name]

    def connect(self, address: str = "203.0.113.1", *, user: int = 0) -> ClientConnection:
        """Return a connection of a client."""
        headers = {"X-Forwarded-For": address}
        if user:
            headers["X-User"] = str(user)
        return connect(
            f"ws://127.0.0.1:{self.port}/ws/",
            origin=Origin(f"http://127.0.0.1:{self.port}"),
            additional_headers=headers,
            proxy=None,
            open_timeout=PATIENCE,
            close_timeout=1,
        )


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """A worker whose limits are small."""
    port = free_port()
    process = Process(
        [
            *(str(BIN / "shardlayer-daphne"), "-p", str(port), "--proxy-headers"),
            "tests.realtime.limited.asgi:application",
        ],
        log=tmp_path_factory.mktemp("limited") / "worker.log",
        REALTIME=json.dumps(LIMITS),
        DJANGO_SETTINGS_MODULE="tests.realtime.limited.settings",
    )
    with process:
        process.serves(port)
        yield Worker(port)
        assert "Traceback" not in process.output()


@pytest.fixture(autouse=True)
def no_rooms(worker: Worker) -> None:
    """Those of the test before are forgotten; one may be left, the worker's own."""
    wait_until(lambda: worker.count("rooms") <= 1)


def ask(client: ClientConnection, id: int, **command: Any) -> dict[str, Any]:
    """Send a command and return its answer; pushes are left out."""
    client.send(json.dumps({"id": id, **command}))
    while True:
        answer: dict[str, Any] = json.loads(client.recv(PATIENCE))
        if answer.get("id") == id:
            return answer


def code(answer: dict[str, Any]) -> str | None:
    """Return an answer's error; None if there is none."""
    error: dict[str, str] = answer.get("error", {})
    return error.get("code")


def close_code(client: ClientConnection) -> int:
    """Read to the end, and return the code that the server closed with."""
    try:
        while True:
            client.recv(PATIENCE)
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else 1006


def assert_refused(codes: Iterator[str | None], *, burst: int, rate: float) -> None:
    """Publish until it is refused: not before the burst is used up, nor later than the rate says.

    A machine that is busy gives the bucket time to fill again.
    """
    began, accepted = time.monotonic(), 0
    while (error := next(codes)) is None:
        accepted += 1
    assert error == "rate"
    assert burst <= accepted <= burst + rate * (time.monotonic() - began)


def rooms(*names: str) -> list[dict[str, str]]:
    """Return a list to subscribe to."""
    return [{"room": name} for name in names]


def test_commands(worker: Worker) -> None:
    """Too many in a second: 4010."""
    before = worker.count("rate_closed")
    with worker.connect() as client:
        with suppress(ConnectionClosed):  # the worker may close before it has them all
            for id in range(1, 40):
                client.send(json.dumps({"id": id, "ping": {}}))
        assert close_code(client) == 4010
    assert worker.count("rate_closed") == before + 1


def test_size_of_a_message(worker: Worker) -> None:
    """`too_large`, and 1009 where it is not even read."""
    before = worker.count("messages_refused")
    with worker.connect() as client:
        client.send(json.dumps({"id": 1, "publish": {"room": "a", "data": "x" * 2_000}}))
        assert json.loads(client.recv(PATIENCE))["error"]["code"] == "too_large"
        client.send("x" * 5_000)
        assert close_code(client) == 1009
    assert worker.count("messages_refused") == before + 1


def test_rooms_of_a_frame(worker: Worker) -> None:
    """`limit`, for the whole message."""
    before = worker.count("frames_refused")
    with worker.connect() as client:
        assert code(ask(client, 1, subscribe=rooms(*"abcdefg"))) == "limit"
        assert code(ask(client, 2, unsubscribe={"room": "a"})) == "not_subscribed"
    assert worker.count("frames_refused") == before + 1


def test_rooms_of_a_connection(worker: Worker) -> None:
    """`limit`, for those past it."""
    before = worker.count("rooms_over_limit")
    with worker.connect() as client:
        items = ask(client, 1, subscribe=rooms(*"abcde"))["subscribed"]
        assert [code(item) for item in items] == [None] * 4 + ["limit"]
    assert worker.count("rooms_over_limit") == before + 1


def test_new_rooms_of_a_connection(worker: Worker) -> None:
    """`rate`."""
    before = worker.count("rooms_refused")
    with worker.connect() as client:
        for id in range(1, 17, 2):
            assert code(ask(client, id, subscribe={"room": "a"})) is None
            ask(client, id + 1, unsubscribe={"room": "a"})
        assert code(ask(client, 17, subscribe={"room": "a"})) == "rate"
    assert worker.count("rooms_refused") == before + 1


def test_publications_of_a_connection(worker: Worker) -> None:
    """`rate`."""
    before = worker.count("publishes_refused")
    with worker.connect("203.0.113.2") as client:
        codes = (code(ask(client, id, publish={"room": "p", "data": 1})) for id in range(1, 100))
        assert_refused(codes, burst=3, rate=0.3)
    assert worker.count("publishes_refused") == before + 1


@pytest.mark.parametrize("user", [0, 1])
def test_publications_of_a_user(worker: Worker, user: int) -> None:
    """`rate`, whatever the connection: of a user, or of an address that nobody signs in at."""
    before = worker.count("users_publishes_refused")

    def published() -> Iterator[str | None]:
        for number in range(100):
            address = f"2001:db8:7:7::{number}" if not user else f"203.0.113.{100 + number}"
            with worker.connect(address, user=user) as client:
                yield code(ask(client, 1, publish={"room": "p", "data": 1}))

    assert_refused(published(), burst=4, rate=0.4)
    assert worker.count("users_publishes_refused") == before + 1
    with worker.connect("2001:db8:7:8::1", user=user and 2) as client:
        assert code(ask(client, 1, publish={"room": "p", "data": 1})) is None


def test_connections_of_a_user(worker: Worker) -> None:
    """4012, until one of the others ends."""
    before = worker.count("users_closed")
    with worker.connect(user=7) as first, worker.connect(user=7) as second:
        for client in (first, second):
            assert code(ask(client, 1, ping={})) is None
        with worker.connect(user=7) as third:
            assert close_code(third) == 4012
        with worker.connect(user=8) as other:
            assert code(ask(other, 1, ping={})) is None
        second.close()

        def has_place() -> bool:
            with worker.connect(user=7) as client:
                try:
                    return code(ask(client, 1, ping={})) is None
                except ConnectionClosed:
                    return False

        wait_until(has_place)
    assert worker.count("users_closed") > before


def test_time_to_subscribe(worker: Worker) -> None:
    """4011, unless it subscribed, published or is signed in; pings are no use."""
    before = worker.count("unused_closed")
    with ExitStack() as stack:
        used = [stack.enter_context(worker.connect()) for _ in range(2)]
        used.append(stack.enter_context(worker.connect(user=9)))
        ask(used[0], 1, subscribe={"room": "a"})
        ask(used[1], 1, publish={"room": "a", "data": 1})
        unused = stack.enter_context(worker.connect())
        ask(unused, 1, ping={})
        assert close_code(unused) == 4011
        for client in used:
            assert code(ask(client, 2, ping={})) is None
    assert worker.count("unused_closed") == before + 1


def test_members_of_a_room(worker: Worker) -> None:
    """`full`, until somebody leaves."""
    before = worker.count("rooms_full")
    with worker.connect() as first, worker.connect() as second, worker.connect() as third:
        for client in (first, second):
            assert code(ask(client, 1, subscribe={"room": "small"})) is None
        assert code(ask(first, 2, subscribe={"room": "small"})) is None  # is in it already
        assert code(ask(third, 1, subscribe={"room": "small"})) == "full"
        ask(first, 3, unsubscribe={"room": "small"})
        assert code(ask(third, 2, subscribe={"room": "small"})) is None
    assert worker.count("rooms_full") == before + 1


def test_rooms_of_a_worker(worker: Worker) -> None:
    """`full` for a room that nobody is in; those that are there may be joined."""
    before = worker.count("nodes_full")
    with ExitStack() as stack:
        clients = [stack.enter_context(worker.connect()) for _ in range(4)]
        codes = [
            code(item)
            for number, client in enumerate(clients)
            for item in ask(
                client, 1, subscribe=rooms(*(f"many.{number}.{room}" for room in range(4)))
            )["subscribed"]
        ]
        refused = codes.count("full")
        assert codes == [None] * (16 - refused) + ["full"] * refused
        assert worker.count("rooms") == LIMITS["MAX_NODE_ROOMS"]  # one may be its own
        assert code(ask(clients[-1], 2, subscribe={"room": "many.0.0"})) is None
    assert worker.count("nodes_full") == before + refused


def test_bytes_of_an_answer(worker: Worker) -> None:
    """What is over it follows as pushes; of a history, as more answers."""
    pages, cut = worker.count("pages"), worker.count("answers_cut")
    limited = worker.count("histories_limited")
    for number in range(4):
        with worker.connect(f"198.51.100.{number}") as client:
            for id in range(1, 4):
                data = f"{number}{id}" * 300
                assert code(ask(client, id, publish={"room": "long", "data": data})) is None
    with worker.connect() as client:
        answer = ask(client, 1, subscribe={"room": "long", **BEGINNING})["subscribed"]
        got = [item["offset"] for item in answer["publications"]]
        while len(got) < 12:
            got.append(json.loads(client.recv(PATIENCE))["offset"])
        assert got == list(range(1, 13))
        history = ask(client, 2, history={"room": "long", "limit": 100})["history"]
        assert len(history["publications"]) + history["more"] == LIMITS["MAX_CLIENT_HISTORY"]
    assert worker.count("pages") > pages
    assert worker.count("answers_cut") == cut + 1
    assert worker.count("histories_limited") == limited + 1
