"""The messages that wait for one application: the `receive` of its connection.

An asyncio.Queue would do, but costs 2.5 KB for an idle connection and tells nobody when it
drains. This one is small while empty, and pauses the client while too much waits, so that nobody
can fill the memory of a process faster than the application reads.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Protocol

MAX_MESSAGES = 100  # past this many waiting messages nothing more is read from the client
MAX_SIZE = 1024 * 1024  # the same for their length, in characters of text or in bytes

Message = dict[str, Any]


class Producer(Protocol):
    """Where messages come from; the names are Twisted's."""

    def pauseProducing(self) -> None: ...  # noqa: N802
    def resumeProducing(self) -> None: ...  # noqa: N802


class Inbox:
    """A queue of ASGI messages with any number of receivers.

    Messages are received in the order they were put; none is lost when a `receive` is
    cancelled. The bounds say when to stop reading: what is put in spite of them is kept.
    """

    __slots__ = ("_messages", "_receivers", "_size", "_source", "paused")

    def __init__(self, source: Producer) -> None:
        self._messages: deque[Message] | None = None  # an empty deque has 600 bytes
        self._receivers: list[asyncio.Future[None]] = []
        self._size = 0
        self._source: Producer | None = source
        self.paused = False
        """Whether reading from the client is stopped because the application is behind."""

    def put(self, message: Message) -> None:
        """Add a message, and stop reading from the client when too much waits."""
        if self._messages is None:
            self._messages = deque()
        self._messages.append(message)
        self._size += _length(message)
        self._wake()
        source = self._source
        if (
            source is not None
            and not self.paused
            and (len(self._messages) > MAX_MESSAGES or self._size > MAX_SIZE)
        ):
            self.paused = True
            source.pauseProducing()

    async def receive(self) -> Message:
        """Wait for the next message."""
        while not self._messages:
            receiver: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._receivers.append(receiver)
            try:
                await receiver
            except asyncio.CancelledError:
                if receiver in self._receivers:
                    self._receivers.remove(receiver)
                elif self._messages:
                    self._wake()  # it was this receiver's turn: the next one takes it
                raise
        message = self._messages.popleft()
        self._size -= _length(message)
        waiting = len(self._messages)
        if not waiting:
            self._messages = None
        if self.paused and waiting <= MAX_MESSAGES // 2 and self._size <= MAX_SIZE // 2:
            self._resume()
        return message

    def release(self) -> None:
        """Never stop reading again: the connection is closing and its close frame is awaited."""
        if self.paused:
            self._resume()
        self._source = None

    def _resume(self) -> None:
        self.paused = False
        if self._source is not None:
            self._source.resumeProducing()

    def _wake(self) -> None:
        while self._receivers:
            receiver = self._receivers.pop(0)
            if not receiver.done():
                receiver.set_result(None)
                return


def _length(message: Message) -> int:
    return len(message.get("text") or message.get("bytes") or b"")
