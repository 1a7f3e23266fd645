"""The writer of one client's connection: broadcasts, replies and control frames, in one order.

While nothing waits for a client, a write is one `send(2)` on its socket: no transport buffer, no
epoll registration, no wake-up. What the kernel does not take waits in a backlog of the sink's
own, and Twisted's producer API feeds it to the transport: a pull producer is asked for the next
chunk when the transport has nothing left (IPullProducer). So the sink always knows whether
something waits, and never reads a buffer of Twisted's.

`send_frames` is what a write calls, and is exchanged as the state changes, so that the hot path
asks nothing: the socket's bound `send`; `_send_joined` while the handshake's answer waits for
company; `_queue` while something waits; `len` when nothing more may be sent, which takes all and
does nothing with it.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from typing import Protocol

from shardlayer.core.compression import Compression
from shardlayer.core.frames import Broadcast
from shardlayer.server.client_backlog import Backlog
from shardlayer.server.scope_part import ScopePart
from shardlayer.server.transports import Transport

CLIENT_BUFFER_LIMIT = 1024 * 1024  # bytes; past this a client is too slow
PACED_SIZE = 64 * 1024  # bytes; an application's own send waits while more than this waits


class SinkOwner(Protocol):
    """The connection that a sink writes to, as the sink sees it."""

    def close(self, code: int, reason: str = "") -> None: ...
    def limit_messages(self, size: int) -> None: ...
    def overflowed(self) -> None: ...
    def drained(self) -> None: ...


class SocketSink(ScopePart):
    """Writes to a bare TCP or Unix socket; satisfies `shardlayer.core.types.FrameSink`.

    Only for transports of which `is_plain` is true, and only from the server's event loop.
    """

    __slots__ = (
        "_backlog", "_drained", "_early", "_farewell", "_finished", "_limit", "_owner", "_paced",
        "_transport", "_waits", "client", "compression", "send_frames",
    )  # fmt: skip

    def __init__(
        self,
        owner: SinkOwner,
        transport: Transport,
        limit: int,
        compression: Compression | None = None,
    ) -> None:
        self.compression = compression
        self._owner: SinkOwner | None = owner
        self._transport = transport
        self._limit = limit
        self._backlog: Backlog | None = None  # None while nothing waits
        self._paced = 0  # bytes in the backlog that the application's own sends brought
        self._early = b""  # what the next write is joined to
        self._finished = False
        self._farewell: Callable[[float], bytes] | None = None
        self._waits = False  # for what others have written to the transport
        self._drained: asyncio.Event | None = None  # made when somebody waits
        self.client: object = None  # whom the application serves: its own to set, and to take back
        self.send_frames: Callable[[bytes], int] = self._sender()

    # What the hub calls.

    def write(self, broadcast: Broadcast) -> None:
        """Write the broadcast now or queue it; after a close do nothing.

        A client for which more than the limit waits already is closed with 4008 instead.
        """
        if self.compression is not None and broadcast.compressed is not None:
            self.send_data(broadcast.compressed)
        else:
            self.send_data(broadcast.frames)

    def settle(self, frames: bytes, sent: int, error: Exception | None) -> None:
        """Queue what the kernel did not take; drop all that comes if the client is gone."""
        if error is None or _is_full(error):
            self._hold(frames, sent)
        elif isinstance(error, OSError):
            self.send_frames = len  # reading goes on, and finds the client's last words and the end
        else:
            try:
                raise error
            finally:
                del error  # which knows this frame

    def close(self, code: int, reason: str = "") -> None:
        """Close the client's connection with a close frame; idempotent.

        Raises:
            ValueError: If RFC 6455 doesn't let an endpoint send the code.
        """
        if self._owner is not None:
            self._owner.close(code, reason)

    def limit_messages(self, size: int) -> None:
        """Take no message from the client of more than `size` bytes; it is closed with 1009.

        For an application that takes less than the server's `--websocket-max-message-size`, so
        that nobody makes the server keep the beginning of a message that the application would
        refuse. A limit that is lower already stays.
        """
        if self._owner is not None:
            self._owner.limit_messages(size)

    def take_leave_with(self, encode: Callable[[float], bytes]) -> None:
        """Have a last message written before the server that stops closes the connection.

        Args:
            encode: Returns its JSON text in UTF-8, given the seconds that the client should wait
                before it comes back.
        """
        self._farewell = encode

    # What the connection calls.

    def follow(self) -> None:
        """Begin when the transport has sent what others have written to it."""
        self._backlog = Backlog()
        self.send_frames = self._queue
        self._waits = True
        self._transport.registerProducer(self, False)  # which asks for data at once
        self._transport.startWriting()  # so that it asks again even if it has nothing to send

    @property
    def waiting(self) -> int:
        """Bytes that were written and that the kernel has not taken yet."""
        return 0 if self._backlog is None else self._backlog.size

    @property
    def is_idle(self) -> bool:
        """Whether the kernel has all that was written."""
        return self._backlog is None

    def send_data(self, data: bytes) -> None:
        """Write frames of the connection's own, such as pongs, under the same limit."""
        try:
            sent = self.send_frames(data)
        except OSError as error:
            self.settle(data, 0, error)
        else:
            if sent != len(data):
                self.settle(data, sent, None)

    def send_paced(self, data: bytes) -> None:
        """Write what the application sends: outside the limit, since its `send` waits."""
        was_idle = self._backlog is None
        if not was_idle:
            self._paced += len(data)
        self.send_data(data)
        if was_idle and self._backlog is not None:
            self._paced = self._backlog.size

    def send_soon(self, data: bytes) -> None:
        """Write together with what follows in this turn of the event loop, else right after it."""
        if self._backlog is not None or self._finished:
            self.send_data(data)
            return
        self._early = data
        self.send_frames = self._send_joined
        asyncio.get_running_loop().call_soon(self._send_early)

    def send_last(self, data: bytes, *, jump: bool = False) -> None:
        """Write a close frame or a final response; whatever is written later vanishes.

        With `jump` it goes ahead of the frames that wait, which are dropped.
        """
        if self._finished:
            return
        if self._backlog is None:
            self.send_data(data)
        else:
            if jump:
                self._backlog.drop()
            self._backlog.append(data)
        self._finished = True
        self.send_frames = len

    def bid_farewell(self, seconds: float) -> None:
        """Write the application's last message, if it has one."""
        if self._farewell is not None:
            self.write(Broadcast([self._farewell(seconds)]))

    async def wait_drained(self) -> None:
        """Return when little enough waits for the application to send more."""
        while self._backlog is not None and self._backlog.size > PACED_SIZE:
            if self._drained is None:
                self._drained = asyncio.Event()
            await self._drained.wait()

    def release_transport(self) -> None:
        """Leave the transport alone, so that it may close. For use when the sink is idle."""

    def detach(self) -> None:
        """Forget the connection, which is gone, and what waits for it."""
        self._finished = True
        self.send_frames = len
        self._backlog = None
        self._early = b""
        self._owner = None
        self._notify()
        del self._transport  # which may still know this producer: no cycle, no garbage

    # What the transport calls: IPullProducer.

    def resumeProducing(self) -> None:  # noqa: N802
        """Give the transport the next chunk; it has none left."""
        backlog = self._backlog
        if backlog is None:
            return
        if self._waits:
            self._waits = False
            return
        chunk = self._next_chunk(backlog)
        if chunk:
            self._transport.write(chunk)
        else:
            self._transport.unregisterProducer()
            self._all_sent()

    def stopProducing(self) -> None:  # noqa: N802
        """Do nothing: the transport is gone, and tells the connection so."""

    # The states.

    def _sender(self) -> Callable[[bytes], int]:
        return self._transport.getHandle().send

    def _send_joined(self, data: bytes) -> int:
        """Send what was to go soon, and `data` behind it."""
        early, self._early = self._early, b""
        self.send_frames = self._sender()
        self.send_data(early + data)
        return len(data)

    def _send_early(self) -> None:
        if self._early:
            self._send_joined(b"")

    def _hold(self, data: bytes, sent: int) -> None:
        """Begin a backlog with what the kernel did not take."""
        self._backlog = backlog = Backlog()
        backlog.append(memoryview(data)[sent:])
        self.send_frames = self._queue
        self._transport.registerProducer(self, False)

    def _queue(self, data: bytes) -> int:
        backlog = self._backlog
        if backlog is not None:
            if backlog.size - self._paced > self._limit and self._owner is not None:
                self._owner.overflowed()
            else:
                backlog.append(data)
        return len(data)

    def _next_chunk(self, backlog: Backlog) -> bytes:
        chunk = backlog.take()
        self._paced = min(self._paced, backlog.size)
        return chunk

    def _all_sent(self) -> None:
        self._backlog = None
        self._paced = 0
        if not self._finished:
            self.send_frames = self._sender()
        self._notify()
        if self._owner is not None:
            self._owner.drained()

    def _notify(self) -> None:
        if self._drained is not None:
            self._drained.set()
            self._drained = None


def _is_full(error: Exception) -> bool:
    """Say whether a socket raised because it can't take anything now."""
    if isinstance(error, BlockingIOError):
        return True
    return isinstance(error, OSError) and error.errno == errno.ENOBUFS  # Unix sockets of BSD, macOS
