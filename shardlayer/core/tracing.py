"""Traces that go on through publications: what the layer asks of whoever keeps them.

The layer knows no tracing library. An application hands it a `Tracer`. The layer then calls it for
each publication, and for each one that comes to a node with a trace. A publication takes its trace
to the nodes; no history keeps it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, Protocol

from shardlayer.core.wire import Kind, pack_body, pack_entry

TRACEPARENT_LENGTH = 55  # characters, in version 00 of https://www.w3.org/TR/trace-context/


class PublishSpan(Protocol):
    """The part of a trace in which something is published.

    Attributes:
        traceparent: Names it to code that continues the trace: 55 ASCII characters.
    """

    traceparent: bytes

    def end(self, error: BaseException | None) -> None:
        """End it, when the publication is acknowledged or has failed."""


class Delivered(NamedTuple):
    """A publication with a trace that a node has written to the members of its room.

    Attributes:
        traceparent: The trace that it came with, as it was sent; not yet looked at.
        room: The room's name.
        offset: Its number in the room; 0 in a room that keeps no history.
        members: How many members the room has in this node.
        seconds: From the moment at which the node heard of it until all were written to.
    """

    traceparent: bytes
    room: str
    offset: int
    members: int
    seconds: float


class Tracer(Protocol):
    """Keeps traces. It must raise nothing: that would reach the publisher, or end a delivery."""

    def publishing(self, rooms: Sequence[str]) -> PublishSpan | None:
        """Begin a span of publishing to rooms; None if no trace is under way here."""

    def delivered(self, publications: Sequence[Delivered]) -> None:
        """Record deliveries, once for each publication and node; they have just ended."""


tracer: Tracer | None = None  # read as an attribute of this module: it may be set later


def set_tracer(new: Tracer | None) -> None:
    """Have all layers of this process tell a tracer, from here on; None: nobody."""
    global tracer
    tracer = new


def preface_of(room: str, traceparent: bytes) -> bytes:
    """Return the entry that tells nodes of a publication's trace, right before the publication."""
    return pack_entry(pack_body(Kind.TRACE, room, traceparent))


@contextmanager
def until_end_of(span: PublishSpan | None) -> Iterator[bytes]:
    """End a span with the block; yield its traceparent, or nothing if there is none."""
    if span is None:
        yield b""
        return
    try:
        yield span.traceparent
    except BaseException as error:
        span.end(error)
        raise
    span.end(None)
