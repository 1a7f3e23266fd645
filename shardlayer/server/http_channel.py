"""HTTP/1.1 on a connection, as Twisted speaks it, but no faster than its client reads.

Twisted goes on with the next request while the answers before it wait for the client, and all of
them pile up in the transport. Here a request that comes while the transport is full waits.
"""

from __future__ import annotations

from typing import Any

from twisted.web.http import HTTPChannel

from shardlayer.server.transports import Transport, was_left


class PacedChannel(HTTPChannel):
    """A channel that serves nothing new while the transport is full. The names are Twisted's."""

    transport: Transport  # type: ignore[assignment]
    _is_full = False
    _held = b""  # came meanwhile: one read, and what Twisted had put aside

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        """Take what the client sends; not while it does not read."""
        if self._is_full:
            self._held += data
            self.transport.pauseProducing()
        else:
            super().dataReceived(data)  # type: ignore[no-untyped-call]

    def registerProducer(self, producer: Any, streaming: bool) -> None:  # noqa: N802
        """Have a producer write, which waits if the transport is full: nobody would tell it."""
        super().registerProducer(producer, streaming)  # type: ignore[no-untyped-call]
        if self._is_full and streaming:
            producer.pauseProducing()

    def pauseProducing(self) -> None:  # noqa: N802
        """Write no more: the transport is full."""
        self._is_full = True
        super().pauseProducing()  # type: ignore[no-untyped-call]

    def resumeProducing(self) -> None:  # noqa: N802
        """Go on: the client has read all."""
        if was_left(self.transport):
            self.transport.unregisterProducer()  # or it would never close
            return
        self._is_full = False
        super().resumeProducing()  # type: ignore[no-untyped-call]
        held, self._held = self._held, b""
        if held:
            self.transport.resumeProducing()
            self.dataReceived(held)


def let_go(channel: HTTPChannel) -> None:
    """Break the reference cycle of a channel whose connection is gone.

    If its client left in the middle of a body, it still has the body's decoder, which knows it. The
    attribute is private; read in Twisted 25.5 to 26.10. If it changes, tests/server/test_garbage.py
    finds the channels.
    """
    channel._transferDecoder = None
