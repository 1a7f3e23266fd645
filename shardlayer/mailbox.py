"""Where one node receives one Channels channel.

A message sent to the channel waits in a queue in Redis, and a wake-up arrives here; a message to
one of the channel's groups arrives here itself. Both are kept in one line: the wake-up holds the
place of its message, which is fetched when its turn comes. So what one writer sent, and then
published, is received in that order, and capacity holds in Redis for all processes.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from enum import Enum

logger = logging.getLogger("shardlayer.mailbox")

COMPLAINT_INTERVAL = 60.0  # seconds between two logged complaints about missed messages


class _Marker(Enum):
    ONE = "a message waits in the queue"
    ALL = "look whether messages wait in the queue"


def is_process_local(channel: str) -> bool:
    """Tell whether a channel belongs to one node (Channels specification, "Channels")."""
    return "!" in channel


def node_of(channel: str) -> str:
    """Return the node that receives a process-local channel, `PREFIX.NODE!ID`."""
    return channel.partition("!")[0].rpartition(".")[2]


class Mailbox:
    """Receives one channel on one event loop.

    Args:
        channel: The channel's name.
        capacity: Group messages that may wait here; what comes on top is missed and counted.
        fetch: Takes the oldest message from the channel's queue, or None.
        is_new: Whether nobody can have sent to the channel yet. Otherwise its queue is looked at
            first, and what waits there comes before everything else.

    Attributes:
        missed: Group messages that found the channel full.
        on_arrival: Called whenever there is something new to `take` or `get`.
    """

    def __init__(
        self,
        channel: str,
        *,
        capacity: int,
        fetch: Callable[[], Awaitable[bytes | None]],
        is_new: bool,
    ) -> None:
        self.channel = channel
        self.missed = 0
        self.on_arrival: Callable[[], None] | None = None
        self._capacity = capacity
        self._fetch = fetch
        self._line: deque[bytes | _Marker] = deque(() if is_new else (_Marker.ALL,))
        self._messages = 0  # how many of the line are messages
        self._getters: deque[asyncio.Future[None]] = deque()
        self._complained = 0.0

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits here."""
        return not self._line

    def deliver(self, message: bytes) -> None:
        """Append a group's message, or count it as missed if the channel is full."""
        if self._messages >= self._capacity:
            self.missed += 1
            self._complain()
            return
        self._messages += 1
        self._line.append(message)
        self._wake_getter()

    def wake(self) -> None:
        """Note that one more message waits in the queue."""
        self._line.append(_Marker.ONE)
        self._wake_getter()

    def look(self) -> None:
        """Note that messages may wait in the queue: wake-ups may have been lost."""
        self._line.append(_Marker.ALL)
        self._wake_getter()

    def take(self) -> bytes | None:
        """Return the next message if it is here, without waiting.

        None with a mailbox that is not empty: the next one must be fetched, see `get`.
        """
        item = self._line[0] if self._line else None
        if not isinstance(item, bytes):
            return None
        self._line.popleft()
        self._messages -= 1
        return item

    async def get(self) -> bytes:
        """Wait for the next message and return it. A cancelled call loses nothing.

        Raises:
            ShardUnavailable: If the queue can't be reached; its message still waits there.
        """
        while True:
            item = await self._next()
            if isinstance(item, bytes):
                self._messages -= 1
                return item
            message = await self._fetch_for(item)
            if message is not None:
                return message

    async def _next(self) -> bytes | _Marker:
        while not self._line:
            getter = asyncio.get_running_loop().create_future()
            self._getters.append(getter)
            try:
                await getter
            except asyncio.CancelledError:
                if getter.done() and not getter.cancelled():
                    self._wake_getter()  # it was this one's turn: pass it on
                elif getter in self._getters:
                    self._getters.remove(getter)
                raise
        return self._line.popleft()

    async def _fetch_for(self, marker: _Marker) -> bytes | None:
        # The call may have taken the message when it is cancelled, so it runs to its end.
        call = asyncio.ensure_future(self._fetch())
        try:
            message = await asyncio.shield(call)
        except asyncio.CancelledError:
            call.add_done_callback(lambda done: self._put_back(marker, done))
            raise
        except Exception:
            self._return(marker)
            raise
        if message is not None and marker is _Marker.ALL:
            self._return(marker)
        return message

    def _put_back(self, marker: _Marker, call: asyncio.Future[bytes | None]) -> None:
        if call.cancelled() or call.exception() is not None:
            self._return(marker)
            return
        message = call.result()
        if message is not None:
            if marker is _Marker.ALL:
                self._return(marker)
            self._messages += 1
            self._return(message)

    def _return(self, item: bytes | _Marker) -> None:
        self._line.appendleft(item)
        self._wake_getter()

    def _wake_getter(self) -> None:
        while self._getters:
            getter = self._getters.popleft()
            if not getter.done():
                getter.set_result(None)
                return
        if self.on_arrival is not None:
            self.on_arrival()

    def _complain(self) -> None:
        now = time.monotonic()
        if now - self._complained >= COMPLAINT_INTERVAL:
            self._complained = now
            logger.warning(
                "%s is full (%d messages): %d group messages were missed so far",
                self.channel,
                self._capacity,
                self.missed,
            )
