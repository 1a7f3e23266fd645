"""WebSocket text frames as a server sends them: unmasked, so the same bytes for every client.

That is what makes a broadcast cheap: a publication is framed once, and the frames that wait for
one room are joined into one write (RFC 6455, 5.1: "A server MUST NOT mask any frames").
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

_FIN_TEXT = 0x81  # FIN set, opcode 1
COMPRESSED_TEXT = 0xC1  # the same with RSV1: the first byte of a compressed text (RFC 7692, 6)
_SHORT = 125  # the longest payload whose length fits the second byte
_MEDIUM = 0xFFFF  # the longest payload whose length fits two more bytes

_medium_header = struct.Struct("!BBH").pack
_long_header = struct.Struct("!BBQ").pack


def text_frame(payload: bytes, first: int = _FIN_TEXT) -> bytes:
    """Return `payload` as one whole text frame (RFC 6455, 5.2).

    It must be UTF-8, or where the first byte says that it is compressed, what that was made of.
    """
    length = len(payload)
    if length <= _SHORT:
        return bytes((first, length)) + payload
    if length <= _MEDIUM:
        return _medium_header(first, 126, length) + payload
    return _long_header(first, 127, length) + payload


class Broadcast:
    """What one write to each member of a room carries: one or more text messages.

    Attributes:
        texts: The messages in order, each UTF-8. For sinks that frame for themselves.
        frames: The same messages as text frames, joined. Built once, written to all.
        compressed: The same for clients that agreed on compression, some or all messages
            compressed; None where that is not worth it. See compression.py.
        offsets: For each message its offset in the room's history, in ascending order; 0 for a
            message that has none. May be left empty if no message has one.
        event_stream: What an application's own sinks make of it, once for all of them. Not set at
            first, and unused if there are no such sinks.
    """

    __slots__ = ("compressed", "event_stream", "frames", "offsets", "texts")

    event_stream: Any

    def __init__(self, texts: Sequence[bytes], offsets: Sequence[int] = ()) -> None:
        self.texts = tuple(texts)
        self.offsets = tuple(offsets)
        if len(self.texts) == 1:
            self.frames = text_frame(self.texts[0])
        else:
            self.frames = b"".join(map(text_frame, self.texts))
        self.compressed: bytes | None = None

    def after(self, offset: int) -> Broadcast | None:
        """Return the part that comes after `offset`; None if nothing does.

        A message without an offset starts a new count, so it and all behind it are kept.
        """
        if not self.offsets or self.offsets[0] > offset:
            return self
        for index, at in enumerate(self.offsets):
            if at > offset or at == 0:
                return Broadcast(self.texts[index:], self.offsets[index:]) if index else self
        return None

    def __repr__(self) -> str:
        return f"<Broadcast of {len(self.texts)}, {len(self.frames)} bytes>"


def joined(entries: Sequence[tuple[bytes, int]], limit: int) -> Iterable[Broadcast]:
    """Return broadcasts of messages, each with its offset, in as few writes as may be.

    `limit` is the bytes that are joined into one write; a longer message goes alone.
    """
    if len(entries) == 1:
        ((text, offset),) = entries
        return (Broadcast((text,), (offset,)),)
    return _joined(entries, limit)


def _joined(entries: Iterable[tuple[bytes, int]], limit: int) -> Iterator[Broadcast]:
    texts: list[bytes] = []
    offsets: list[int] = []
    size = 0
    for text, offset in entries:
        if texts and size + len(text) > limit:
            yield Broadcast(texts, offsets)
            texts, offsets, size = [], [], 0
        texts.append(text)
        offsets.append(offset)
        size += len(text)
    if texts:
        yield Broadcast(texts, offsets)
