"""A client on a worker that asks for much, reads nothing, and has more to do queued up."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.uri import parse_uri

from demo.embedded import free_port
from tests.realtime.process import BIN, Process
from tests.waiting import PATIENCE, wait_until

PACED = 64 * 1024  # bytes: while more waits for a client, its next command does
HISTORIES, PUBLICATIONS = 50, 40  # together fewer than the 100 that a server reads ahead

LIMITS = {
    "MAX_CLIENT_COMMANDS": 0,
    "MAX_CLIENT_PUBLISHES": 0,
    "MAX_USER_PUBLISHES": 0,
}


class Worker:
    """A worker that serves user 7."""

    def __init__(self, port: int) -> None:
        self.port = port

    def ask(self, path: str) -> dict[str, Any]:
        """Have something done; return what is so then."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        connection.request("GET", path)
        told: dict[str, Any] = json.loads(connection.getresponse().read())
        connection.close()
        return told

    def connect(self) -> tuple[socket.socket, ClientProtocol]:
        """Return a connection of a client, of which nothing is read but on demand."""
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(PATIENCE)
        sock.connect(("127.0.0.1", self.port))
        origin = f"http://127.0.0.1:{self.port}"
        client = ClientProtocol(parse_uri(f"ws://127.0.0.1:{self.port}/ws/"), max_size=None)
        request = client.connect()
        request.headers["Origin"] = origin
        client.send_request(request)
        sock.sendall(b"".join(client.data_to_send()))
        while client.state.name == "CONNECTING":
            client.receive_data(sock.recv(4096))
            client.events_received()
        assert client.handshake_exc is None
        return sock, client


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    """A worker without limits on commands."""
    port = free_port()
    process = Process(
        [
            *(str(BIN / "shardlayer-daphne"), "-p", str(port)),
            "tests.realtime.clients.unread_asgi:application",
        ],
        log=tmp_path / "worker.log",
        REALTIME=json.dumps(LIMITS),
        DJANGO_SETTINGS_MODULE="tests.realtime.limited.settings",
    )
    with process:
        process.serves(port)
        yield Worker(port)
        assert "Traceback" not in process.output()


def test_nothing_is_published_after_a_sign_out(worker: Worker) -> None:
    """The publications that wait behind answers which are not read are dropped."""
    worker.ask("/fill")
    sock, client = worker.connect()
    with sock:
        commands: list[dict[str, Any]] = [
            {"history": {"room": "long", "limit": 300}} for _ in range(HISTORIES)
        ]
        commands += [{"publish": {"room": "chat", "data": 1}} for _ in range(PUBLICATIONS)]
        commands.insert(0, {"connect": {}})
        for id, command in enumerate(commands, 1):
            client.send_text(json.dumps({"id": id, **command}).encode())
        sock.sendall(b"".join(client.data_to_send()))
        wait_until(lambda: worker.ask("/")["waiting"] > PACED)
        assert worker.ask("/disconnect")["published"] == 0
        wait_until(lambda: worker.ask("/")["signed_out"] == 1)
        code, published = read_to_the_end(sock, client)
    assert (code, published) == (4002, 0)
    wait_until(lambda: worker.ask("/")["ended"] == 1)
    assert worker.ask("/")["published"] == 0


def read_to_the_end(sock: socket.socket, client: ClientProtocol) -> tuple[int | None, int]:
    """Return the close code, and how many publications were answered."""
    published = 0
    while client.close_rcvd is None:
        data = sock.recv(65536)
        if not data:
            break
        client.receive_data(data)
        for event in client.events_received():
            if isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                published += b'"published"' in bytes(event.data)[:100]
    sock.sendall(b"".join(client.data_to_send()))
    return client.close_rcvd.code if client.close_rcvd else None, published
