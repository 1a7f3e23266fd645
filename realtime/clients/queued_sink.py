"""A sink that queues, for servers that offer none of their own: bounded, emptied in order.

The hub writes synchronously; ASGI's `send` has to be awaited. Between them stand a queue, bounded
in bytes, and one task for each connection that empties it in order.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from realtime.clients.client_counters import counters
from realtime.clients.protocol.commands import CLOSE_FAILED
from shardlayer import CLOSE_SLOW, Broadcast, Sink

logger = logging.getLogger(__name__)

Send = Callable[[dict[str, Any]], Awaitable[None]]

FLUSH_TIMEOUT = 5.0  # seconds that an ending connection gets for what is queued
PACED_SIZE = 64 * 1024  # bytes; a client that reads a long answer gets more when less waits


class ClientSink(Sink, Protocol):
    """A sink of which one can wait until its client has read, as our own server's too.

    Attributes:
        client: The session that it writes for; None before and after.
        waiting: Bytes that were written and are not sent yet.
    """

    client: object

    @property
    def waiting(self) -> int: ...

    async def wait_drained(self) -> None:
        """Return when little waits for the client, or it is gone."""


class QueuedSink(ABC):
    """A sink (`shardlayer.Sink`) over ASGI's `send`; for one event loop, made inside it.

    A client that leaves more than `limit` bytes unread is closed with 4008 when more comes, and its
    queue is dropped: it can resume from its offset. Every write counts, but for the one message
    that is to be sent next, which may be larger than the limit. Whoever has a long answer for the
    client waits for `wait_drained` between its parts.

    How much a server takes before its `send` waits is the server's affair: uvicorn takes 64 KiB,
    stock Daphne never waits.

    Everything that is sent to the client after the beginning has to go through the sink, so that it
    arrives in order. The owner must await `finish()`.

    Args:
        send: ASGI's.
        limit: Bytes that may wait; 0: any amount.
        max_text: Bytes of one message that the server sends; 0: any amount.
        on_failure: Called when nothing can be sent any more, though nobody asked to close.
    """

    __slots__ = (
        "_close", "_drained", "_limit", "_on_failure", "_pending", "_send", "_task", "_texts",
        "_wake", "client", "max_text",
    )  # fmt: skip

    def __init__(
        self,
        send: Send,
        *,
        limit: int,
        max_text: int = 0,
        on_failure: Callable[[], None] = lambda: None,
    ) -> None:
        self.max_text = max_text
        self.client: object = None
        self._send = send
        self._limit = limit
        self._on_failure = on_failure
        self._texts: deque[bytes] = deque()
        self._pending = 0  # bytes in _texts; what the server has been given is its own affair
        self._close: tuple[int, str] | None = None
        self._wake = asyncio.Event()
        self._drained: asyncio.Event | None = None  # made when somebody waits
        self._task: asyncio.Task[None] | None = asyncio.create_task(
            self._drain(), name="realtime: drain a sink"
        )

    @abstractmethod
    def _texts_of(self, broadcast: Broadcast) -> Sequence[bytes]:
        """Return what is sent of a broadcast."""

    @abstractmethod
    def _event_of(self, text: bytes) -> dict[str, Any]:
        """Return the ASGI event that sends one of these."""

    @abstractmethod
    async def _send_close(self, code: int, reason: str) -> None:
        """Send that the connection ends, and why."""

    def write(self, broadcast: Broadcast) -> None:
        """Queue the broadcast; close a client that is too far behind."""
        if self._close is not None:
            return
        if self._texts and 0 < self._limit < self._pending - len(self._texts[0]):
            self._give_up("slow consumer")
            return
        texts = self._texts_of(broadcast)
        sizes = [len(text) for text in texts]
        if 0 < self.max_text < max(sizes):
            self._give_up("a message is too large for this server")
            return
        self._pending += sum(sizes)
        self._texts.extend(texts)
        self._wake.set()

    @property
    def waiting(self) -> int:
        """Bytes that were written and that the server has not been given yet."""
        return self._pending

    def close(self, code: int, reason: str = "") -> None:
        """Close the connection once what is queued is sent; nothing is queued from here on."""
        if self._close is None:
            self._close = (code, reason)
            self._wake.set()

    async def wait_drained(self) -> None:
        """Return when little waits for the client, or it is gone."""
        while self._pending > PACED_SIZE:
            if self._drained is None:
                self._drained = asyncio.Event()
            await self._drained.wait()

    async def finish(self) -> None:
        """End the task. A close that was asked for gets a few seconds to be sent."""
        task, self._task = self._task, None  # a cancelled one knows its frames, and they the sink
        if task is None:
            return
        if self._close is not None:
            await asyncio.wait([task], timeout=FLUSH_TIMEOUT)
        task.cancel()
        await asyncio.wait([task])

    def _next(self) -> bytes:
        """Take what is to be sent next; something waits."""
        text = self._texts.popleft()
        self._took(len(text))
        return text

    def _give_up(self, reason: str) -> None:
        counters.slow_closed += 1
        self._forget()
        self.close(CLOSE_SLOW, reason)

    def _forget(self) -> None:
        self._texts.clear()
        self._took(self._pending)

    def _took(self, size: int) -> None:
        self._pending -= size
        if self._drained is not None and self._pending <= PACED_SIZE:
            self._drained.set()
            self._drained = None

    async def _drain(self) -> None:
        try:
            while True:
                while self._texts:
                    await self._send(self._event_of(self._next()))
                if self._close is not None:
                    await self._send_close(*self._close)
                    return
                self._wake.clear()
                await self._wake.wait()
        except Exception as error:
            await self._fail(error)

    async def _fail(self, error: Exception) -> None:
        """End the connection after `send` has raised."""
        self._close = (CLOSE_FAILED, "")
        self._forget()
        self._on_failure()
        # A client that left and a message that is refused raise alike, and each server has its own
        # ways. Only who is still there can be told, and only its server says so.
        try:
            await self._send_close(CLOSE_FAILED, "a message could not be sent")
        except Exception:
            logger.debug("A client went away while it was written to: %r", error)
        else:
            counters.refused_writes += 1
            logger.warning("A message could not be sent, so its connection was closed: %r", error)
