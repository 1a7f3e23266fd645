"""Lets an application that streams a response wait until its client has read.

Daphne's `send` never waits, and what a client does not read would pile up in the transport. An
application without end, such as a stream of events, asks here before it sends more.
"""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from shardlayer.server.scope_part import ScopePart


class PacedResponse(Protocol):
    """The request whose response is sent: Twisted's."""

    def registerProducer(self, producer: Any, streaming: bool) -> None: ...  # noqa: N802
    def unregisterProducer(self) -> None: ...  # noqa: N802
    def abort(self) -> None: ...


class ResponsePace(ScopePart):
    """What a response is written by, as Twisted sees it (IPushProducer), and its application.

    It stands in the scope of a request: `scope["extensions"]["shardlayer"]["pace"]`.
    """

    __slots__ = ("_is_begun", "_response", "_resumed")

    def __init__(self, response: PacedResponse) -> None:
        self._response: PacedResponse | None = response
        self._is_begun = False
        self._resumed: asyncio.Event | None = None  # while the transport has enough

    async def wait_drained(self) -> None:
        """Return when less than 64 KiB wait for the client, or it is gone.

        For use after the response has begun.
        """
        if self._response is not None and not self._is_begun:
            self._is_begun = True
            self._response.registerProducer(self, True)
        if self._resumed is not None:
            await self._resumed.wait()

    def abort(self) -> None:
        """Cut off a client that does not read the rest; nothing after the response's end.

        An application that ends with its response unfinished does so, too, and has failed.
        """
        if self._response is not None:
            self._response.abort()

    # What the request calls.

    def end(self) -> None:
        """Have nobody wait any more: the response is complete, or the client gone."""
        response, self._response = self._response, None
        if response is not None and self._is_begun:
            response.unregisterProducer()
        self.resumeProducing()

    # What the transport calls.

    def pauseProducing(self) -> None:  # noqa: N802
        """Have the application wait."""
        if self._resumed is None and self._response is not None:
            self._resumed = asyncio.Event()

    def resumeProducing(self) -> None:  # noqa: N802
        """Let the application go on."""
        if self._resumed is not None:
            self._resumed.set()
            self._resumed = None

    def stopProducing(self) -> None:  # noqa: N802
        """Let the application go on: nothing is sent any more."""
        self.resumeProducing()
