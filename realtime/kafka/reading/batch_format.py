"""What stands before the records of a batch, and where a fetch has its batches.

The format: https://kafka.apache.org/documentation/#recordbatch
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

HEADER = struct.Struct(">qiibIhiqqqhii")  # of a batch, up to its records
_START = struct.Struct(">qiib")  # the same of a batch of any format
CODEC, LOG_APPEND_TIME = 0x07, 0x08  # bits of the attributes
_LENGTH_FROM = 12  # a batch's length counts from here, behind its offset and the length itself
_ATTRIBUTES_AT = 21


class RecordBatch(NamedTuple):
    """What stands before a batch's records.

    Of one of before 2017 only `view`, `begin` and `magic` are true: it counts as one record.

    Attributes:
        view: The whole batch.
        begin: Its first offset.
        end: The offset behind its last one, which compaction may have removed.
        magic: Its format; 2 since 2017.
        attributes: Bits.
        first_timestamp: Milliseconds.
        max_timestamp: Milliseconds.
        records: How many.
    """

    view: memoryview
    begin: int
    end: int
    magic: int
    attributes: int
    first_timestamp: int
    max_timestamp: int
    records: int


def batches_of(data: bytes) -> Iterator[RecordBatch]:
    """Yield the batches that a fetch brought; one that is cut off at its end is left out."""
    view = memoryview(data)
    at = 0
    while len(data) - at >= _START.size:
        begin, length, _, magic = _START.unpack_from(data, at)
        end = at + _LENGTH_FROM + length
        if length <= 0 or end > len(data):
            return
        if magic < 2:
            yield RecordBatch(view[at:end], begin, begin + 1, magic, 0, 0, 0, 1)
        elif length >= HEADER.size - _LENGTH_FROM:
            _, _, _, _, _, attributes, delta, first, last, _, _, _, count = HEADER.unpack_from(
                data, at
            )
            yield RecordBatch(
                view[at:end], begin, begin + delta + 1, magic, attributes, first, last, count
            )
        at = end


def unpacked(batch: RecordBatch, payload: bytes) -> bytes:
    """Return a batch as it would be without being packed; its checksum is of no use any more."""
    head = bytearray(batch.view[: HEADER.size])
    struct.pack_into(">i", head, 8, HEADER.size - _LENGTH_FROM + len(payload))
    struct.pack_into(">h", head, _ATTRIBUTES_AT, batch.attributes & ~CODEC)
    return b"".join((head, payload))
