"""A balancer that is to stop and stood still: nobody is answered twice, and nobody is forgotten."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from shardlayer.balancer import balancer
from shardlayer.balancer.balancer import Balancer, BalancerOptions
from shardlayer.core.handover_frames import MAX_BATCH, Join, Load
from tests.server.logged_process import LISTENING
from tests.waiting import PATIENCE, until


class Running:
    """A balancer in this loop, which stands still while the test does not await."""

    def __init__(self, socket_path: Path) -> None:
        self.path = str(socket_path)
        self.balancer = Balancer(BalancerOptions(port=0, socket=self.path))
        self.stop = asyncio.Event()
        self.end = asyncio.create_task(self.balancer.run(self.stop))
        self.address = ("", 0)

    def connect(self) -> socket.socket:
        """Return a client's connection."""
        return socket.create_connection(self.address, timeout=PATIENCE)


@pytest.fixture
async def running(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Running]:
    """One that listens."""
    caplog.set_level("INFO", logger="shardlayer.balancer")
    made = Running(tmp_path / "balancer.sock")
    await until(lambda: LISTENING.search(caplog.text))
    found = LISTENING.search(caplog.text)
    assert found is not None
    made.address = found[1], int(found[2])
    yield made
    made.stop.set()
    await made.end


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Ends what a test opened."""
    with ExitStack() as made:
        yield made


async def test_what_was_acknowledged_is_read_first(
    running: Running, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that a worker serves gets no answer of the balancer's, though its time is over."""
    monkeypatch.setattr(balancer, "STOP_TIMEOUT", 0.0)
    worker = stack.enter_context(socket.socket(socket.AF_UNIX))
    worker.connect(running.path)
    worker.setblocking(False)
    worker.send(Join(capacity=0, name="w").pack())
    await until(lambda: running.balancer.counters.joined)
    client = stack.enter_context(running.connect())
    taken: list[int] = []

    def takes() -> bool:
        try:
            taken.extend(socket.recv_fds(worker, 65536, MAX_BATCH)[1])
        except BlockingIOError:
            return False
        return bool(taken)

    await until(takes)
    accepted = stack.enter_context(socket.socket(fileno=taken[0]))
    running.stop.set()
    worker.send(Load(taken=1, held=1).pack())
    await running.end
    assert running.balancer.counters.refused == 0
    accepted.send(b"served")
    assert client.recv(100) == b"served"


async def test_all_who_wait_are_answered(running: Running, stack: ExitStack) -> None:
    """A connection that was not accepted yet is not reset."""
    clients = [stack.enter_context(running.connect()) for _ in range(300)]
    running.stop.set()
    await running.end
    for client in clients:
        assert client.recv(100).startswith(b"HTTP/1.1 503")
    assert running.balancer.counters.accepted == 300
