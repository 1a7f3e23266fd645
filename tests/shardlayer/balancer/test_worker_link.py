"""The balancer's side of one worker, whose side the test speaks."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from shardlayer.balancer.balancer_counters import BalancerCounters
from shardlayer.balancer.socket_file import Peer
from shardlayer.balancer.worker_link import JOIN_TIMEOUT, STALLED_AFTER, WorkerLink
from shardlayer.core.handover_frames import RECEIPT_TIMEOUT, GiveBack, Join, Load
from tests.shardlayer.balancer.connections import tcp_pairs
from tests.waiting import PATIENCE, until


class Links:
    """A link, and what it told."""

    def __init__(self, ours: socket.socket, theirs: socket.socket) -> None:
        self.theirs = theirs
        self.joined: list[WorkerLink] = []
        self.ended = 0
        self.not_taken: list[socket.socket] = []
        self.returned: list[socket.socket] = []
        self.counters = BalancerCounters()
        self.link = WorkerLink(
            ours,
            Peer(pid=1, uid=1, gid=1),
            self.counters,
            on_join=self.joined.append,
            on_return=self.returned.extend,
            on_end=self._end,
        )

    def _end(self, link: WorkerLink, not_taken: list[socket.socket]) -> None:
        self.ended += 1
        self.not_taken += not_taken

    async def join(self) -> None:
        """Say who the worker is."""
        self.theirs.send(Join(capacity=0, name="w").pack())
        await until(lambda: self.joined)


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a worker's socket."""
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    ours.setblocking(False)
    with ours, theirs:
        yield ours, theirs


@pytest.fixture
def accepted() -> Iterator[list[socket.socket]]:
    """Connections to hand over."""
    with tcp_pairs(5) as pairs:
        yield [each for _, each in pairs]


async def test_receipt(
    ends: tuple[socket.socket, socket.socket], accepted: list[socket.socket]
) -> None:
    """What was taken is closed here, in order; the rest still counts."""
    links = Links(*ends)
    await links.join()
    for connection in accepted:
        links.link.give(connection)
    assert links.link.flush() == []
    assert (links.link.connections, links.link.waiting) == (5, 5)
    links.theirs.send(Load(taken=2, held=1, silent=1).pack())
    await until(lambda: links.link.waiting == 3)
    assert links.link.connections == 1 + 3  # one of those that it took has left
    assert links.link.silent == 1
    assert [each.fileno() == -1 for each in accepted] == [True, True, False, False, False]
    assert links.counters.handed_over == 2
    links.theirs.close()
    await until(lambda: links.ended)
    assert links.not_taken == accepted[2:]


async def test_receipt_before_the_end_counts(
    ends: tuple[socket.socket, socket.socket], accepted: list[socket.socket]
) -> None:
    """A worker that acknowledges and dies has taken; though it left much unread."""
    links = Links(*ends)
    await links.join()
    for connection in accepted:
        links.link.give(connection)
        links.link.flush()
    links.theirs.send(Load(taken=3, held=3).pack())
    links.theirs.close()  # with unread data: an error for the other end
    await until(lambda: links.ended)
    assert links.not_taken == accepted[3:]


async def test_given_back(
    ends: tuple[socket.socket, socket.socket],
    accepted: list[socket.socket],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a worker has no file for is told at once, and it gets nothing more for a moment."""
    monkeypatch.setattr("shardlayer.balancer.worker_link.REST", PATIENCE)
    links = Links(*ends)
    await links.join()
    for connection in accepted:
        links.link.give(connection)
    links.link.flush()
    links.theirs.send(Load(taken=2, held=2).pack() + GiveBack(count=2).pack())
    await until(lambda: links.returned)
    assert links.returned == accepted[2:4]
    assert (links.link.connections, links.link.waiting, links.link.takes) == (3, 1, False)
    links.theirs.send(Load(taken=3, held=3).pack())
    await until(lambda: links.link.waiting == 0)
    assert accepted[4].fileno() == -1
    now, takes = time.monotonic(), []
    for later in (0, PATIENCE + 0.1):
        links.link.check(now + later)
        takes.append(links.link.takes)
    assert takes == [False, True]
    links.theirs.send(GiveBack(count=1).pack())  # of nothing
    await until(lambda: links.ended)


async def test_stalled_and_given_up(
    ends: tuple[socket.socket, socket.socket], accepted: list[socket.socket]
) -> None:
    """Without a receipt it is stalled after a while, and its connections are taken back later."""
    links = Links(*ends)
    await links.join()
    now = time.monotonic()
    links.link.give(accepted[0])
    links.link.flush()
    states = []
    for at in (now, time.monotonic() + STALLED_AFTER + 0.1):
        links.link.check(at)
        states.append((links.link.stalled, links.link.takes))
    assert states == [(False, True), (True, True)]
    links.link.check(time.monotonic() + RECEIPT_TIMEOUT + 0.1)
    assert links.ended == 1
    assert links.not_taken == accepted[:1]


async def test_receipt_that_was_not_read_in_time(
    ends: tuple[socket.socket, socket.socket], accepted: list[socket.socket]
) -> None:
    """If this process stood still, it reads before it takes anything back."""
    links = Links(*ends)
    await links.join()
    links.link.give(accepted[0])
    links.link.flush()
    links.theirs.send(Load(taken=1, held=1).pack())
    links.link.check(time.monotonic() + RECEIPT_TIMEOUT + 60)
    assert links.ended == 0
    assert (links.link.connections, links.link.stalled) == (1, False)


async def test_worker_that_does_not_read(
    ends: tuple[socket.socket, socket.socket], accepted: list[socket.socket]
) -> None:
    """What can't be handed over comes back for another, and it is not chosen until it reads."""
    links = Links(*ends)
    await links.join()
    left: list[socket.socket] = []
    while not left:
        links.link.take_share(1, 1)  # fills the socket
        if not links.link.takes:
            break
    before = links.link.connections
    links.link.give(accepted[0])
    assert links.link.flush() == [accepted[0]]
    assert links.link.connections == before
    links.theirs.setblocking(False)

    def drained() -> bool:
        with suppress(BlockingIOError):
            links.theirs.recv(65536)
        return links.link.takes

    await until(drained)
    links.link.end("over")


@pytest.mark.parametrize(
    "data",
    [
        Load(taken=0, held=0).pack(),  # before it has joined
        Join(version=9, capacity=0, name="w").pack(),
        Join(capacity=0, name="w").pack() * 2,
        Join(capacity=0, name="w").pack() + Load(taken=1, held=1).pack(),
    ],
)
async def test_nonsense(ends: tuple[socket.socket, socket.socket], data: bytes) -> None:
    """What a worker may not say ends its link."""
    links = Links(*ends)
    links.theirs.send(data)
    await until(lambda: links.ended)


async def test_silence(ends: tuple[socket.socket, socket.socket]) -> None:
    """Who connects and does not say who it is has only so much time."""
    began = time.monotonic()
    links = Links(*ends)
    await asyncio.sleep(0)
    links.link.check(began + JOIN_TIMEOUT / 2)
    assert links.ended == 0
    links.link.check(time.monotonic() + JOIN_TIMEOUT + 1)
    assert links.ended == 1
