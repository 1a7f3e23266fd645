"""The queue of an application's messages."""

from __future__ import annotations

import asyncio
import socket

import pytest

from shardlayer.server.inbox import MAX_MESSAGES, MAX_SIZE, Inbox
from tests.waiting import PATIENCE


class PausingTransport:
    """Notes whether it is read from."""

    def __init__(self) -> None:
        self.reads = True

    def pauseProducing(self) -> None:  # noqa: N802
        self.reads = False

    def resumeProducing(self) -> None:  # noqa: N802
        self.reads = True

    def write(self, data: bytes) -> None: ...
    def loseConnection(self) -> None: ...  # noqa: N802
    def loseWriteConnection(self) -> None: ...  # noqa: N802
    def abortConnection(self) -> None: ...  # noqa: N802
    def registerProducer(self, producer: object, streaming: bool) -> None: ...  # noqa: N802
    def unregisterProducer(self) -> None: ...  # noqa: N802
    def setTcpNoDelay(self, enabled: bool) -> None: ...  # noqa: N802
    def getPeer(self) -> object: ...  # noqa: N802
    def getHost(self) -> object: ...  # noqa: N802

    def getHandle(self) -> socket.socket:  # noqa: N802
        raise NotImplementedError


@pytest.fixture
def transport() -> PausingTransport:
    """A transport that is read from."""
    return PausingTransport()


@pytest.fixture
def inbox(transport: PausingTransport) -> Inbox:
    """An empty inbox of that transport."""
    return Inbox(transport)


async def test_order(inbox: Inbox) -> None:
    """Messages come out in the order they went in."""
    for number in range(3):
        inbox.put({"type": "websocket.receive", "text": str(number)})
    assert [(await inbox.receive())["text"] for _ in range(3)] == ["0", "1", "2"]


async def test_waiting_receivers_take_turns(inbox: Inbox) -> None:
    """Each message wakes the receiver that waits longest."""
    tasks = [asyncio.create_task(inbox.receive()) for _ in range(2)]
    await asyncio.sleep(0)
    for number in range(2):
        inbox.put({"type": "n", "number": number})
    assert [(await task)["number"] for task in tasks] == [0, 1]


async def test_cancelled_receive_loses_nothing(inbox: Inbox) -> None:
    """A message whose receiver is cancelled when it was its turn goes to the next."""
    first, second = (asyncio.create_task(inbox.receive()) for _ in range(2))
    await asyncio.sleep(0)
    inbox.put({"type": "n"})
    first.cancel()
    assert await asyncio.wait_for(second, PATIENCE) == {"type": "n"}
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_cancelled_before_a_message(inbox: Inbox) -> None:
    """A receiver that gave up is not woken in place of one that waits."""
    first = asyncio.create_task(inbox.receive())
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    second = asyncio.create_task(inbox.receive())
    await asyncio.sleep(0)
    inbox.put({"type": "n"})
    assert await asyncio.wait_for(second, PATIENCE) == {"type": "n"}


async def test_pauses_at_too_many_messages(inbox: Inbox, transport: PausingTransport) -> None:
    """Past the limit nothing is read, and again when half of it is left."""
    for _ in range(MAX_MESSAGES):
        inbox.put({"type": "websocket.receive", "text": "a"})
    states = [transport.reads]
    inbox.put({"type": "websocket.receive", "text": "a"})
    states.append(transport.reads)
    for _ in range(MAX_MESSAGES // 2):
        await inbox.receive()
    states.append(transport.reads)
    await inbox.receive()
    states.append(transport.reads)
    assert states == [True, False, False, True]


async def test_pauses_at_too_many_bytes(inbox: Inbox, transport: PausingTransport) -> None:
    """Few large messages count as much as many small ones."""
    inbox.put({"type": "websocket.receive", "bytes": b"x" * (MAX_SIZE + 1)})
    assert not transport.reads
    await inbox.receive()
    assert transport.reads


async def test_release(inbox: Inbox, transport: PausingTransport) -> None:
    """A closing connection is read whatever waits."""
    inbox.put({"type": "websocket.receive", "bytes": b"x" * (MAX_SIZE + 1)})
    inbox.release()
    assert transport.reads
    inbox.put({"type": "websocket.receive", "bytes": b"x" * (MAX_SIZE + 1)})
    assert transport.reads
