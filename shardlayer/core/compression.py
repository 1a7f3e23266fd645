"""A broadcast compressed once, for all of its clients that agreed on it (RFC 7692).

With permessage-deflate, each message may refer to those before it. So a server usually has to
compress for each client separately, and to keep a window of up to 32 KiB for it. Ours promises
every client `server_no_context_takeover`: no message refers to another. So a compressed frame has
the same bytes for all of them, as a plain frame has, and between two messages nothing is kept.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import compress
from operator import attrgetter, not_
from typing import TypeVar

from shardlayer.core.frames import COMPRESSED_TEXT, Broadcast, text_frame

WINDOW_BITS = 12  # a window of 4 KiB: a client that can take less is written plain frames
_MEMORY_LEVEL = 5  # of zlib: 1 to 9; larger ones bring nothing with so small a window
_STEP = 65_536  # bytes that are compressed before the event loop gets a turn
_TAIL = len(b"\x00\x00\xff\xff")  # what ends a message, and is not sent (RFC 7692, 7.2.1)

MAX_LEVEL = 9  # of zlib
MIN_SIZE = 256  # bytes
MIN_CLIENTS = 20  # clients

SinkT = TypeVar("SinkT")

_compression_of = attrgetter("compression")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Compression:
    """When and how broadcasts are compressed. Immutable: a server and its sinks share one.

    Attributes:
        level: zlib's, from 1, which is fast, to 9, which compresses best.
        min_size: Bytes of a message, below which it is sent as it is.
        min_clients: Clients of a room in this process that take compressed messages; with fewer
            the room's messages are sent as they are, since so few don't pay for compressing them.
    """

    level: int = 6
    min_size: int = MIN_SIZE
    min_clients: int = MIN_CLIENTS

    def prepare(self, broadcast: Broadcast, clients: int) -> Iterator[None]:
        """Set `broadcast.compressed`, if that is worth it for so many clients.

        Yields whenever the event loop should have its turn before the next step: a message of 1 MiB
        takes some 10 ms. Does nothing until it is iterated.
        """
        if clients < self.min_clients or broadcast.compressed is not None:
            return
        frames = []
        is_smaller = False
        for text in broadcast.texts:
            if len(text) >= self.min_size:
                compressor = zlib.compressobj(
                    self.level, zlib.DEFLATED, -WINDOW_BITS, _MEMORY_LEVEL
                )
                parts = [compressor.compress(text[:_STEP])]
                for start in range(_STEP, len(text), _STEP):
                    yield
                    parts.append(compressor.compress(text[start : start + _STEP]))
                parts.append(compressor.flush(zlib.Z_SYNC_FLUSH))
                data = b"".join(parts)[:-_TAIL]
                if len(data) < len(text):
                    frames.append(text_frame(data, COMPRESSED_TEXT))
                    is_smaller = True
                    continue
            frames.append(text_frame(text))
        if is_smaller:
            broadcast.compressed = b"".join(frames)


def apart(sinks: Sequence[SinkT]) -> tuple[list[SinkT], list[SinkT], int]:
    """Return the sinks that take compressed frames, and the others, each in order.

    Behind some of the others, which stand before a sink (gate.py), is one that will be given the
    compressed frames all the same: the last value says how many.
    """
    behind = 0
    try:
        which = list(map(_compression_of, sinks))
    except AttributeError:  # a gate, or a sink of another server
        which = [getattr(sink, "compression", None) for sink in sinks]
        behind = sum(getattr(sink, "hides_compression", False) for sink in sinks)
    return list(compress(sinks, which)), list(compress(sinks, map(not_, which))), behind
