"""Unpacking the payload of a batch, up to a limit: a few bytes can become gigabytes."""

from __future__ import annotations

import mmap
import struct
import zlib
from typing import NamedTuple

from aiokafka.errors import UnsupportedCodecError

try:
    import cramjam
except ImportError:  # said when a batch needs it, with what to do
    cramjam = None  # type: ignore[assignment]

GZIP, SNAPPY, LZ4, ZSTD = 1, 2, 3, 4  # the codecs' numbers in a batch's attributes
_GZIP_WINDOW = 31  # zlib's for a stream with gzip's header
_XERIAL = b"\x82SNAPPY\x00"  # begins what Java writes: blocks, each behind its length
_XERIAL_HEADER = 16  # bytes
_FULL = "failed to write whole buffer"  # cramjam 2: what is unpacked is larger than its place
_KEPT_SCRATCH = 4 * 1024 * 1024  # bytes of memory that may stay in use between two batches


class Unpacked(NamedTuple):
    """What became of a packed payload.

    Attributes:
        data: Its bytes; the first ones, if there were more than the limit.
        is_whole: Whether that is all.
    """

    data: bytes
    is_whole: bool


def unpack(codec: int, packed: memoryview, *, limit: int) -> Unpacked:
    """Unpack a batch's payload, but no more than `limit` bytes of it.

    Raises:
        UnsupportedCodecError: There is nothing here to unpack it with.
        Exception: It can't be unpacked: whatever the codec's library raises.
    """
    if codec == GZIP:
        return _gunzip(packed, limit)
    if codec not in (SNAPPY, LZ4, ZSTD):
        raise UnsupportedCodecError(f"codec {codec} is not known")
    if cramjam is None:
        raise UnsupportedCodecError("the library cramjam is missing")
    if codec == SNAPPY:
        return _unpack_snappy(packed, limit)
    return _into_scratch(cramjam.lz4 if codec == LZ4 else cramjam.zstd, packed, limit)


def missing_codecs() -> tuple[str, ...]:
    """Return the names of the codecs whose batches can't be unpacked here."""
    return () if cramjam is not None else ("snappy", "lz4", "zstd")


def _gunzip(packed: memoryview, limit: int) -> Unpacked:
    found = b""
    left: bytes | memoryview = packed
    while left:  # a stream may have several members
        stream = zlib.decompressobj(_GZIP_WINDOW)
        found += stream.decompress(left, limit + 1 - len(found))
        if len(found) > limit:
            return Unpacked(found[:limit], False)
        if not stream.eof:
            raise EOFError("the gzip stream is cut off")
        left = stream.unused_data
    return Unpacked(found, True)


def _unpack_snappy(packed: memoryview, limit: int) -> Unpacked:
    found: list[bytes] = []
    size = 0
    for block in _snappy_blocks(bytes(packed)):
        size += cramjam.snappy.decompress_raw_len(block)
        if size > limit:
            return Unpacked(b"".join(found), False)
        found.append(bytes(cramjam.snappy.decompress_raw(block)))
    return Unpacked(b"".join(found), True)


def _snappy_blocks(packed: bytes) -> list[bytes]:
    if not packed.startswith(_XERIAL):
        return [packed]
    blocks = []
    at = _XERIAL_HEADER
    while at < len(packed):
        (size,) = struct.unpack_from(">i", packed, at)
        at += 4
        if not 0 < size <= len(packed) - at:
            raise EOFError("the snappy stream is cut off")
        blocks.append(packed[at : at + size])
        at += size
    return blocks


class _Scratch:
    """Memory to unpack into; the system gives it when it is written to, and not before."""

    def __init__(self) -> None:
        self._map: mmap.mmap | None = None

    def take(self, size: int) -> mmap.mmap:
        if self._map is None or len(self._map) != size:
            self._map = mmap.mmap(-1, size)
        return self._map

    def give_back(self, used: int) -> None:
        if used > _KEPT_SCRATCH:
            self._map = None


_scratch = _Scratch()


def _into_scratch(library: object, packed: memoryview, limit: int) -> Unpacked:
    place = _scratch.take(limit)
    used = limit
    try:
        used = library.decompress_into(bytes(packed), place)  # type: ignore[attr-defined]
    except cramjam.DecompressionError as error:
        if str(error) != _FULL:
            raise
        return Unpacked(place[:limit], False)
    else:
        return Unpacked(place[:used], True)
    finally:
        _scratch.give_back(used)
