"""Broadcasts to real sockets: order, slow clients, and a close in the middle."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.server.client import CLOSE, TEXT, RawClient, close_frame, frame, request
from tests.server.conftest import LOOPBACK
from tests.server.process import ServerProcess
from tests.waiting import wait_until

ROUND = 30  # broadcasts


@contextmanager
def small_buffer_server(directory: Path, *options: str) -> Iterator[ServerProcess]:
    """A server whose sockets take few bytes: the listener's buffer size is inherited."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        number = listener.fileno()
        with ServerProcess(directory, "--fd", str(number), *options, descriptor=number) as server:
            yield server


@pytest.fixture
def room(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server of its own, since its room is one for all."""
    with ServerProcess(tmp_path, *LOOPBACK) as server:
        yield server


def command(**arguments: object) -> bytes:
    """Return a frame that has the room do something."""
    return frame(TEXT, json.dumps(arguments).encode())


def numbers(client: RawClient, count: int) -> list[int]:
    """Return the numbers that the next broadcasts begin with."""
    found = []
    for _ in range(count):
        received = client.read()
        assert received is not None
        assert received.opcode == TEXT
        found.append(int(json.loads(received.payload)[:8]))
    return found


def broadcast_in_rounds(client: RawClient) -> None:
    """Broadcast 300 KB, a tenth at a time: who reads never has 100 KB waiting."""
    for _ in range(10):
        client.send(command(broadcast=ROUND, size=1000))
        assert numbers(client, ROUND) == list(range(ROUND))
        done = client.read()
        assert done is not None
        assert done.payload == b"done"


def test_partial_writes_keep_order(tmp_path: Path) -> None:
    """What the kernel takes in part arrives whole and in order, direct writes after it too."""
    with (
        small_buffer_server(tmp_path) as server,
        RawClient(server.connect(receive_buffer=4096), request("/room")) as client,
    ):
        client.send(command(broadcast=300, size=3000))
        assert numbers(client, 300) == list(range(300))
        done = client.read()
        assert done is not None
        assert done.payload == b"done"
        client.send(command(broadcast=3))
        assert numbers(client, 3) == [0, 1, 2]
        assert server.errors() == []


def test_sends_and_broadcasts_share_one_order(tmp_path: Path) -> None:
    """An application's sends and a hub's broadcasts arrive as they were written."""
    with (
        small_buffer_server(tmp_path) as server,
        RawClient(server.connect(receive_buffer=4096), request("/room")) as client,
    ):
        client.send(command(broadcast=100, size=5000, mixed=True))
        for number in range(100):
            assert numbers(client, 1) == [number]
            sent = client.read()
            assert sent is not None
            assert sent.payload == b"sent %d" % number


def test_application_waits_for_a_slow_client(tmp_path: Path) -> None:
    """An application may send more than the limit: its `send` waits, nobody is closed."""
    limit = ("--client-buffer-limit", "100000")
    with (
        small_buffer_server(tmp_path, *limit) as server,
        RawClient(
            server.connect(receive_buffer=4096), request("/flood?count=100&size=20000")
        ) as client,
    ):
        for number in range(100):
            received = client.read()
            assert received is not None
            assert int(received.payload[:8]) == number
        assert server.state()["counters"]["slow_closed"] == 0


def test_slow_client_is_closed(tmp_path: Path) -> None:
    """A client that does not read is closed with 4008, and the others miss nothing."""
    limit = ("--client-buffer-limit", "100000")
    with (
        small_buffer_server(tmp_path, *limit) as server,
        RawClient(server.connect(), request("/room")) as fast,
        RawClient(server.connect(receive_buffer=4096), request("/room")) as slow,
    ):
        broadcast_in_rounds(fast)
        assert server.state()["counters"]["slow_closed"] == 1
        *texts, close = slow.read_to_close()
        assert (close.opcode, close.code) == (CLOSE, 4008)
        received = [int(json.loads(text.payload)[:8]) for text in texts]
        beginning = [number % ROUND for number in range(len(received))]
        assert received == beginning  # without a gap
        assert len(received) < 10 * ROUND
        wait_until(lambda: server.state()["members"] == 1)
        assert server.state()["disconnects"][-1]["code"] == 4008
        assert server.errors() == []


def test_first_write_counts(tmp_path: Path) -> None:
    """Two writes that are together more than the limit are the last until they are read."""
    limit = ("--client-buffer-limit", "100000")
    with (
        small_buffer_server(tmp_path, *limit) as server,
        RawClient(server.connect(receive_buffer=4096), request("/room")) as slow,
        RawClient(server.connect(), request("/room")) as fast,
    ):
        for _ in range(3):
            fast.send(command(broadcast=1, size=90_000))
            assert numbers(fast, 1) == [0]
            done = fast.read()
            assert done is not None
            assert done.payload == b"done"
        wait_until(lambda: server.state()["counters"]["slow_closed"] == 1)
        *texts, close = slow.read_to_close()
        assert (len(texts), close.opcode, close.code) == (1, CLOSE, 4008)  # which jumps the queue


def test_slow_client_is_dropped(tmp_path: Path) -> None:
    """A slow client that doesn't take the close frame either is gone after some seconds."""
    limit = ("--client-buffer-limit", "100000")
    with (
        small_buffer_server(tmp_path, *limit) as server,
        RawClient(server.connect(receive_buffer=4096), request("/room")),
        RawClient(server.connect(), request("/room")) as fast,
    ):
        broadcast_in_rounds(fast)
        wait_until(lambda: server.state()["members"] == 1)
        assert server.errors() == []


def test_500_clients_closed_in_a_broadcast(room: ServerProcess) -> None:
    """All get the same beginning and then their close frame; nothing after it, no error."""
    with ExitStack() as stack:
        clients = [
            stack.enter_context(RawClient(room.connect(), request("/room"))) for _ in range(500)
        ]
        clients[0].send(command(broadcast=30, size=250, close=4001))
        for client in clients:
            assert numbers(client, 10) == list(range(10))
            close = client.read()
            assert close is not None
            assert (close.opcode, close.code, close.payload[2:]) == (CLOSE, 4001, b"over")
            client.send(close_frame(4001))
            assert client.read_all() == []
    wait_until(lambda: room.state()["members"] == 0)
    assert room.errors() == []


def test_500_clients_vanish_in_a_broadcast(room: ServerProcess) -> None:
    """Clients that drop their connections while they are written to log no error."""
    with ExitStack() as stack:
        clients = [
            stack.enter_context(RawClient(room.connect(), request("/room"))) for _ in range(500)
        ]
        clients[0].send(command(broadcast=200, size=250, pause=0.005))
        for client in clients[1:]:
            client.disconnect()
        assert numbers(clients[0], 200) == list(range(200))
        wait_until(lambda: room.state()["members"] == 1)
    assert room.errors() == []
