"""One record of a partition: its fields, as far as they can be read.

The format: https://kafka.apache.org/documentation/#record
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

MAX_NAME = 100  # characters of a header's name in an error

Headers = Sequence[tuple[str, bytes | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadRecord:
    """A record that can't be read, or a run of them, with what could be read.

    Attributes:
        topic: Where it is.
        partition: Where it is.
        offset: Its own, or the first one's.
        key: Its key, if that could be read.
        value: Its payload, if that could be read.
        headers: Those that could be read. What is no UTF-8 in a name is written `\\xff`.
        error: Why it can't be read.
    """

    topic: str
    partition: int
    offset: int
    key: bytes | None = None
    value: bytes | None = None
    headers: Headers = ()
    error: str


class ReadRecord(NamedTuple):
    """A record, with the attributes of aiokafka's ConsumerRecord; made in a fifth of its time.

    Attributes:
        topic: Where it is.
        partition: Where it is.
        offset: Its own.
        timestamp: Milliseconds since 1970.
        timestamp_type: 0: the producer's; 1: the broker's.
        key: As it came, or as the project's decoder made it.
        value: The same.
        checksum: Of a record of before 2017.
        serialized_key_size: Bytes of the key as it came; -1: none.
        serialized_value_size: The same of the payload.
        headers: In order; a name may come twice.
    """

    topic: str
    partition: int
    offset: int
    timestamp: int
    timestamp_type: int
    key: Any
    value: Any
    checksum: int | None
    serialized_key_size: int
    serialized_value_size: int
    headers: Headers


class DecodedRecord(ReadRecord):
    """A record of which the project's decoders made the key or the payload.

    Attributes:
        raw_key: As it came.
        raw_value: As it came.
    """

    raw_key: bytes | None
    raw_value: bytes | None


def raw_parts(record: Any) -> tuple[bytes | None, bytes | None]:
    """Return the key and the payload of a ReadRecord or an UnreadRecord as they came."""
    if isinstance(record, DecodedRecord):
        return record.raw_key, record.raw_value
    return record.key, record.value


class RecordFields:
    """A record's fields, as far as they were read; https://kafka.apache.org/documentation/#record."""

    def __init__(self) -> None:
        self.timestamp = 0  # milliseconds after the batch's first
        self.offset = -1  # after the batch's first
        self.key: bytes | None = None
        self.value: bytes | None = None
        self.size = 0  # of the value, also of one that is not here
        self.is_cut = False  # whether the value is not here
        self.headers: list[tuple[str, bytes | None]] = []
        self.faults: list[str] = []

    def read(self, data: bytes | memoryview) -> None:
        """Read what is there.

        Raises:
            ValueError: It ends too early, or is no record.
        """
        _, at = read_varint(data, 0)  # attributes, of which there are none
        self.timestamp, at = read_varint(data, at)
        self.offset, at = read_varint(data, at)
        self.key, at = _read_bytes(data, at)
        self.size, begin = read_varint(data, at)
        self.is_cut = self.size > len(data) - begin
        self.value, at = _read_bytes(data, at)
        count, at = read_varint(data, at)
        for _ in range(count):
            name, at = _read_bytes(data, at)
            value, at = _read_bytes(data, at)
            self._add_header(name or b"", value)
        if count < 0 or at != len(data):
            raise ValueError("its length and its fields differ")

    def _add_header(self, name: bytes, value: bytes | None) -> None:
        try:
            self.headers.append((name.decode(), value))
        except UnicodeDecodeError:
            self.headers.append((name.decode(errors="backslashreplace"), value))
            self.faults.append(f"a header's name is no UTF-8: {name[:MAX_NAME]!r}")


def read_varint(data: bytes | memoryview, at: int) -> tuple[int, int]:
    """Return a number in zigzag form, and where the next field begins.

    Raises:
        ValueError: The data end before it does, or it is too long.
    """
    found = shift = 0
    for place in range(at, min(at + 10, len(data))):
        byte = data[place]
        found |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return (found >> 1) ^ -(found & 1), place + 1
        shift += 7
    raise ValueError("it is cut off")


def _read_bytes(data: bytes | memoryview, at: int) -> tuple[bytes | None, int]:
    size, at = read_varint(data, at)
    if size < 0:
        return None, at
    if size > len(data) - at:
        raise ValueError("it is cut off")
    return bytes(data[at : at + size]), at + size
