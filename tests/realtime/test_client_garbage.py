"""However a client leaves, its objects are freed at once: nothing waits for the collector.

As tests/server/test_garbage.py shows of connections; here are the sessions of clients, too, and
streams of events.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from demo.embedded import EmbeddedValkey
from realtime import publish
from realtime.sharded_layer import sharded_layer
from tests.realtime.conftest import channel_layers
from tests.server.client import TEXT, RawClient, frame, request
from tests.server.conftest import LOOPBACK
from tests.server.process import ServerProcess
from tests.waiting import wait_until

OURS = ("shardlayer.", "realtime.", "twisted.web.")
RESET = struct.pack("ii", 1, 0)


@pytest.fixture
def server(
    tmp_path: Path, redis_server: EmbeddedValkey, settings: Settings
) -> Iterator[ServerProcess]:
    """The project on our server, with what counts its objects; this process publishes to it."""
    environ = {
        "DJANGO_SETTINGS_MODULE": "tests.realtime.garbage_settings",
        "DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3",
        "REDIS_URL": redis_server.url,
        "SHARDLAYER_DEMO": "0",
    }
    settings.CHANNEL_LAYERS = channel_layers(hosts=[redis_server.url])
    application = "tests.realtime.garbage_site:application"
    with ServerProcess(tmp_path, *LOOPBACK, application=application, environ=environ) as running:
        yield running
    asyncio.run(sharded_layer().close())


def stream(server: ServerProcess, query: str = "room=a", **headers: str) -> socket.socket:
    """Return a client that has asked for a stream."""
    lines = [f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items()]
    connection = server.connect(receive_buffer=4096)
    head = f"GET /sse/?{query} HTTP/1.1\r\nHost: 127.0.0.1\r\n{''.join(lines)}\r\n"
    connection.sendall(head.encode())
    return connection


def read_to(connection: socket.socket, end: bytes) -> bytes:
    """Return what is received until it ends so; empty if the connection ends before."""
    received = b""
    while end not in received:
        chunk = connection.recv(65536)
        if not chunk:
            return b""
        received = received[-400:] + chunk
    return received


def leaves(server: ServerProcess) -> None:
    with stream(server) as client:
        assert read_to(client, b'"subscribed"')


def leaves_at_once(server: ServerProcess) -> None:
    stream(server).close()


def is_reset(server: ServerProcess) -> None:
    with stream(server) as client:
        assert read_to(client, b'"subscribed"')
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


def is_reset_at_once(server: ServerProcess) -> None:
    with stream(server) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


def goes_on(server: ServerProcess) -> None:
    with stream(server, "room=a&room=b", Last_Event_ID="0-k3k3k3k3,-") as client:
        assert read_to(client, b'"subscribed"')


def has_a_bad_token(server: ServerProcess) -> None:
    with stream(server, Authorization="Bearer nobody") as client:
        assert read_to(client, b"event: close")


def has_bad_rooms(server: ServerProcess) -> None:
    with stream(server, "room=%20&room=" + "x" * 300) as client:
        client.shutdown(socket.SHUT_WR)
        while client.recv(65536):
            pass


def asks_otherwise(server: ServerProcess) -> None:
    for method in ("HEAD", "OPTIONS", "POST"):
        with server.connect() as client:
            lines = "Host: 127.0.0.1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            client.sendall(f"{method} /sse/?room=a HTTP/1.1\r\n{lines}".encode())
            while client.recv(65536):
                pass


def is_of_another_site(server: ServerProcess) -> None:
    with stream(server, Origin="https://other.example", Connection="close") as client:
        assert read_to(client, b"another site")


def is_slow(server: ServerProcess) -> None:
    with stream(server) as client:
        assert read_to(client, b'"subscribed"')
        for number in range(40):  # 8 MB
            publish("a", {"n": number, "text": "x" * 200_000})
        assert read_to(client, b'"code":4008')


def socket_of(server: ServerProcess, query: str = "?room=a") -> RawClient:
    """Return a WebSocket client in rooms."""
    origin = f"http://127.0.0.1:{server.address[1]}"
    return RawClient(server.connect(), request(f"/ws/{query}", Host=origin[7:], Origin=origin))


def ask_socket(client: RawClient, id: int, **command: object) -> dict[str, Any]:
    """Send a command and return its answer."""
    client.send(frame(TEXT, json.dumps({"id": id, **command}).encode()))
    while received := client.read():
        message: dict[str, Any] = json.loads(received.payload)
        if message.get("id") == id:
            return message
    raise AssertionError("The connection has ended.")


def talks(server: ServerProcess) -> None:
    with socket_of(server) as client:
        assert "subscribed" in ask_socket(client, 1, subscribe={"room": "chat.1"})
        assert "published" in ask_socket(client, 2, publish={"room": "chat.1", "data": 1})
        assert "unsubscribed" in ask_socket(client, 3, unsubscribe={"room": "chat.1"})
        assert "connected" in ask_socket(client, 4, connect={})
        assert "note" in ask_socket(client, 5, note={})
        client.finish()


def is_refused(server: ServerProcess) -> None:
    with socket_of(server) as client:
        rooms = [{"room": "b"}, {"room": "b"}, {"room": "no room"}]
        assert "subscribed" in ask_socket(client, 1, subscribe=rooms)
        assert "error" in ask_socket(client, 2, subscribe={"room": "no room"})
        assert "error" in ask_socket(client, 3, publish={"room": "a", "data": 1})
        assert "error" in ask_socket(client, 4, connect={"token": "nobody"})
        assert "error" in ask_socket(client, 5, connect={"note": "nobody", "token": "nobody"})
        assert "error" in ask_socket(client, 6, nothing={})
        client.send(frame(TEXT, b"no JSON"))
        client.read()


def is_dropped(server: ServerProcess) -> None:
    with socket_of(server) as client:
        client.read()
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


WAYS = (
    *(talks, is_refused, is_dropped),
    *(leaves, leaves_at_once, is_reset, is_reset_at_once, goes_on, has_a_bad_token),
    *(has_bad_rooms, asks_otherwise, is_of_another_site, is_slow),
)


def ask(server: ServerProcess, path: str) -> Any:
    """Return what the server says of its objects."""
    return json.loads(server.get(path))


@pytest.mark.slow
def test_nothing_is_left(server: ServerProcess) -> None:
    """To find which way leaves something, comment out the others."""
    wait_until(lambda: json.loads(server.get("/health/ready") or b"{}").get("status") == "ready")
    ask(server, "/garbage")  # from here on the collector runs only when it is asked for
    for _ in range(2):  # what is made once stays
        ask(server, "/garbage")
        for way in WAYS:
            way(server)
        wait_until(lambda: ask(server, "/objects") == {}, what="Something of a client is left.")
    assert [name for name in ask(server, "/garbage") if name.startswith(OURS)] == []
