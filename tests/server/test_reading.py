"""What a client sends is read in turns, at a rate, and in time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from shardlayer.server.handshake import Opening
from shardlayer.server.inbox import MAX_MESSAGES
from shardlayer.server.reading import SLICE_SIZE, TURN_FRAMES
from shardlayer.server.websocket_protocol import WebSocketProtocol
from tests.server.client import (
    BINARY,
    CLOSE,
    CONT,
    PING,
    TEXT,
    RawClient,
    Received,
    close_frame,
    frame,
    request,
)
from tests.server.conftest import LOOPBACK
from tests.server.process import ServerProcess
from tests.server.test_inbox import PausingTransport
from tests.waiting import until, wait_until

AT_ONCE = TURN_FRAMES + SLICE_SIZE // len(frame(TEXT))  # frames: a turn, and what a slice has more


@dataclass
class Host:
    """What a WebSocketProtocol needs of a server; there is no application."""

    client_buffer_limit: int = 1000
    client_frame_rate: int = 0
    client_message_timeout: float = 0
    root_path: str = ""
    proxy_forwarded_address_header: str | None = None
    action_logger: None = None
    lost: list[WebSocketProtocol] = field(default_factory=list)

    def open_websocket(self, protocol: WebSocketProtocol, scope: dict[str, Any]) -> None:
        """Start nothing."""

    def websocket_lost(self, protocol: WebSocketProtocol) -> None:
        """Note it."""
        self.lost.append(protocol)


async def opened(transport: PausingTransport) -> WebSocketProtocol:
    """Return a protocol whose handshake was accepted and whose inbox is empty."""
    protocol = WebSocketProtocol(cast(Any, Host()), Opening(request(), "", (None, None)))
    protocol.makeConnection(cast(Any, transport))
    await protocol.inbox.receive()
    await protocol.send({"type": "websocket.accept"})
    return protocol


async def texts(protocol: WebSocketProtocol, count: int) -> list[str]:
    """Receive so many messages."""
    return [(await protocol.inbox.receive())["text"] for _ in range(count)]


async def test_many_frames_are_read_in_turns() -> None:
    """One read of 64 KiB in empty frames does not keep the loop; each message comes, in order."""
    transport = PausingTransport()
    protocol = await opened(transport)
    count = 10_000
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    task = asyncio.create_task(others())
    protocol.dataReceived(b"".join(frame(TEXT, b"%d" % number) for number in range(count)))
    assert not transport.reads
    received = await texts(protocol, count)
    task.cancel()
    assert received == [str(number) for number in range(count)]
    assert turns >= count / AT_ONCE - 1
    assert transport.reads


async def test_no_more_is_parsed_than_is_taken() -> None:
    """While the application is behind, what was read waits as bytes, and closes nothing."""
    transport = PausingTransport()
    protocol = await opened(transport)
    protocol.dataReceived(frame(TEXT) * 1000)
    for _ in range(20):
        await asyncio.sleep(0)
    waiting = 0
    while protocol.inbox.paused:
        await protocol.inbox.receive()
        waiting += 1
    assert waiting <= MAX_MESSAGES + AT_ONCE
    await texts(protocol, 1000 - waiting)
    await until(lambda: transport.reads)


async def test_what_waits_when_the_connection_is_lost() -> None:
    """Nothing is parsed after the end."""
    host_transport = PausingTransport()
    protocol = await opened(host_transport)
    protocol.dataReceived(frame(TEXT) * 1000)
    protocol.connectionLost(None)
    messages = 0
    while (await protocol.inbox.receive())["type"] == "websocket.receive":
        messages += 1
    assert messages <= AT_ONCE


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that takes few frames, and not for long."""
    options = ("--client-frame-rate", "100", "--client-message-timeout", "6")
    with ServerProcess(tmp_path_factory.mktemp("strict"), *LOOPBACK, *options) as server:
        yield server


def count(server: ServerProcess, name: str) -> int:
    """Return a counter."""
    return int(server.state()["counters"][name])


@pytest.mark.parametrize(
    "sent",
    [frame(TEXT), frame(PING, b"x"), frame(CONT, fin=False)],
    ids=["empty", "ping", "fragment"],
)
def test_client_that_sends_too_many_frames(strict: ServerProcess, sent: bytes) -> None:
    """Frames of any kind are counted. Its application hears of the end at once."""
    before, ends = count(strict, "fast_closed"), len(strict.state()["disconnects"])
    with RawClient(strict.connect()) as client:
        client.send(frame(TEXT, fin=False) if sent[0] == CONT else b"")

        def flood() -> None:
            try:
                for _ in range(100):
                    client.send(sent * 100)
            except OSError:
                pass  # it was cut off

        sender = threading.Thread(target=flood)
        sender.start()
        close = client.read()
        while close is not None and close.opcode != CLOSE:
            close = client.read()
        assert close == Received(CLOSE, (4029).to_bytes(2) + b"too many frames")
        sender.join()
        wait_until(lambda: len(strict.state()["disconnects"]) > ends, within=5)
        assert strict.state()["disconnects"][-1]["code"] == 4029
    assert count(strict, "fast_closed") == before + 1


def test_frames_at_the_rate(strict: ServerProcess) -> None:
    """A client that was quiet may send 10 s worth of frames at once."""
    with RawClient(strict.connect()) as client:
        client.send(frame(TEXT) * 1000)
        assert [client.read() for _ in range(1000)] == [Received(TEXT, b"")] * 1000


@pytest.mark.parametrize(
    "begin",
    [frame(TEXT, b"half")[:-1], frame(TEXT, b"first", fin=False)],
    ids=["frame", "fragment"],
)
def test_message_that_does_not_end(strict: ServerProcess, begin: bytes) -> None:
    """A client that begins a message has to end it in time, whatever it sends in between."""
    before = count(strict, "message_timeouts")
    with RawClient(strict.connect()) as client:
        client.send(begin)
        (close,) = client.read_all()
        assert close == Received(CLOSE, (1008).to_bytes(2) + b"message timeout")
    assert count(strict, "message_timeouts") == before + 1


def test_messages_that_end_in_time(strict: ServerProcess) -> None:
    """Each message has a time of its own, though the next begins with its end."""
    message = frame(TEXT, b"a")
    pause = threading.Event()
    with RawClient(strict.connect()) as client:
        client.send(message[:3])
        for _ in range(13):  # longer in all than the 6 to 8 s that a message may take
            client.send(message[3:] + message[:3])
            assert client.read() == Received(TEXT, b"a")
            pause.wait(0.7)


def test_limit_of_the_application(server: ServerProcess) -> None:
    """An application may take less than the server: no more than that is kept for it."""
    for sends in (
        frame(BINARY, b"x" * 101),
        frame(BINARY, b"x" * 1_000_000)[:20],  # told by the length alone
        frame(BINARY, b"x" * 60, fin=False) + frame(CONT, b"x" * 60, fin=False),
    ):
        with RawClient(server.connect(), request("/limited?100")) as client:
            client.send(frame(BINARY, b"x" * 100))
            assert client.read() == Received(BINARY, b"x" * 100)
            client.send(sends)
            (close,) = client.read_all()
            assert close.code == 1009


@pytest.mark.parametrize(
    ("sends", "code"),
    [
        (frame(TEXT, b"x" * (1024 * 1024 + 1)), 1009),
        (frame(TEXT, b"\xff"), 1007),
        (frame(CONT), 1002),
        (close_frame(4001), 4001),
    ],
    ids=["too-large", "no-text", "protocol", "close"],
)
def test_end_is_told_at_once(server: ServerProcess, sends: bytes, code: int) -> None:
    """The application is not kept waiting by a client that keeps its side open."""
    before = len(server.state()["disconnects"])
    with RawClient(server.connect()) as client:
        client.send(sends)
        wait_until(lambda: len(server.state()["disconnects"]) > before, within=5)
        assert server.state()["disconnects"][-1]["code"] == code


def test_end_of_a_slow_client_is_told_at_once(tmp_path: Path) -> None:
    """Nor by one that reads nothing, not even its close frame."""
    with (
        ServerProcess(tmp_path, *LOOPBACK, "--client-buffer-limit", "100000") as server,
        RawClient(server.connect(receive_buffer=4096), request("/room")) as slow,
    ):
        slow.send(frame(TEXT, b'{"broadcast": 200, "size": 100000}'))
        wait_until(lambda: server.state()["disconnects"], within=4)  # it is aborted after 5 s
        assert server.state()["disconnects"][-1]["code"] == 4008
