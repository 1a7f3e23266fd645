"""The writer of a client that is no bare socket: through TLS, PROXY or another wrapper."""

from __future__ import annotations

from collections.abc import Callable

from shardlayer.core.compression import Compression
from shardlayer.server.client_backlog import Backlog
from shardlayer.server.sink import SinkOwner, SocketSink
from shardlayer.server.transports import Transport, was_left


class TransportSink(SocketSink):
    """Writes through the transport: for TLS, PROXY and whatever else wraps a socket.

    The transport buffers some 64 KiB and pauses this sink, a push producer, when that is full;
    what is written while paused waits in the same limited backlog.
    """

    __slots__ = ("_paused",)

    def _sender(self) -> Callable[[bytes], int]:
        return self._pass_on

    def __init__(
        self,
        owner: SinkOwner,
        transport: Transport,
        limit: int,
        compression: Compression | None = None,
    ) -> None:
        super().__init__(owner, transport, limit, compression)
        self._paused = False
        transport.registerProducer(self, True)

    def follow(self) -> None:
        """Begin: all goes by the transport, and so behind what others have written to it."""

    def send_soon(self, data: bytes) -> None:
        """Write; the transport joins what comes in one turn of the event loop by itself."""
        self.send_data(data)

    def release_transport(self) -> None:
        """Unregister, without which a transport never closes."""
        self._transport.unregisterProducer()

    def pauseProducing(self) -> None:  # noqa: N802
        """Queue from now on: the transport's buffer is full."""
        self._paused = True
        if self._backlog is None:
            self._backlog = Backlog()
            if not self._finished:
                self.send_frames = self._queue

    def resumeProducing(self) -> None:  # noqa: N802
        """Pass on what waits, until the transport's buffer is full again."""
        if was_left(self._transport):
            self.release_transport()
            return
        self._paused = False
        backlog = self._backlog
        if backlog is None:
            return
        while chunk := self._next_chunk(backlog):
            self._transport.write(chunk)
            if self._paused:
                return
        self._all_sent()

    def _pass_on(self, data: bytes) -> int:
        self._transport.write(data)
        return len(data)
