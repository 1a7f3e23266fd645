"""The streams that are open on one event loop: their comments, and their end with the server.

One timer looks after all of them, and only while there are any.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Protocol
from weakref import WeakKeyDictionary

from shardlayer import Node

LOOK = 0.1  # seconds between two looks
LEAVING_SECONDS = 4.0  # over which the clients are spread when the server stops
LEAST_LEAVING = 10  # clients that go with one look
RETURN_WITHIN = 1.0  # seconds, of which each client waits a random part
CLOSE_RESTART = 1012  # RFC 6455 7.4.1, by IANA's registry: the server restarts, come back


class OpenStream(Protocol):
    """A stream, as it is seen here: `event_stream_sink.EventStreamSink`."""

    def comment(self) -> None: ...
    def leave(self, code: int, reason: str, seconds: float) -> None: ...


class OpenStreams:
    """The streams of one event loop.

    Attributes:
        is_ending: Whether the server stops, and streams are sent away.
        is_watched: Whether somebody tells when it does.
    """

    def __init__(self) -> None:
        self.is_ending = False
        self.is_watched = False
        self._stops: Callable[[], bool] | None = None
        self._streams: dict[OpenStream, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._commented = 0.0  # when, by the loop's clock
        self._pause = 0.0  # seconds between two comments; 0: none
        self._leaving = 0  # with each look, once it is ending

    def __len__(self) -> int:
        return len(self._streams)

    def add(self, stream: OpenStream, pause: float) -> None:
        """Look after a stream, with a comment for all of them after each `pause`; 0: none."""
        self._pause = pause
        self._streams[stream] = None
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._commented = loop.time()
            self._timer = loop.call_later(LOOK, self._look)

    def remove(self, stream: OpenStream) -> None:
        """Forget a stream: it has ended. Again is no error."""
        self._streams.pop(stream, None)

    def watch(self, stops: Callable[[], bool] | None = None) -> None:
        """Have somebody tell when the server stops, who calls `end` or is asked with each look."""
        self.is_watched = True
        self._stops = stops

    def end(self) -> None:
        """Send all clients away, a few at a time."""
        if not self.is_ending:
            self.is_ending = True
            self._leaving = max(LEAST_LEAVING, round(len(self) * LOOK / LEAVING_SECONDS))

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(LOOK, self._look) if self._streams else None
        if self._stops is not None and self._stops():
            self.end()
        if self.is_ending:
            for stream in list(self._streams)[: self._leaving]:
                self.remove(stream)
                # Not for security: nobody gains by knowing it.
                wait = random.uniform(0, RETURN_WITHIN)  # noqa: S311
                stream.leave(CLOSE_RESTART, "the server stops", wait)
        elif 0 < self._pause <= loop.time() - self._commented:
            self._commented = loop.time()
            for stream in self._streams:
                stream.comment()


_of_nodes: WeakKeyDictionary[Node, OpenStreams] = WeakKeyDictionary()


def streams_of(node: Node) -> OpenStreams:
    """Return those of a node, so of one event loop."""
    known = _of_nodes.get(node)
    if known is None:
        known = _of_nodes[node] = OpenStreams()
    return known
