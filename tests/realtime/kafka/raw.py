"""Batches of records as bytes, with what no producer would write."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from aiokafka import AIOKafkaProducer
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy
from aiokafka.record.util import calc_crc32c

from realtime.kafka.brokers import Brokers

CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
LATIN = b"caf\xe9"  # a header's name that is no UTF-8


class RawName(str):
    """A header's name as bytes that need not be UTF-8."""

    __slots__ = ()

    def encode(self, *_: object) -> bytes:
        """Return it as it is to be written."""
        return self.encode_latin()

    def encode_latin(self) -> bytes:
        """Return a byte for each character."""
        return str.encode(self, "latin-1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """A record to write."""

    key: bytes | None = None
    value: bytes | None = b"{}"
    headers: Sequence[tuple[bytes, bytes | None]] = ()


def builder_of(records: Sequence[Raw], codec: str) -> _DefaultRecordBatchBuilderPy:
    """Return aiokafka's builder with these records in it."""
    builder = _DefaultRecordBatchBuilderPy(
        magic=2,
        compression_type=CODECS[codec],
        is_transactional=0,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=1 << 30,
    )
    for offset, record in enumerate(records):
        builder.append(
            offset,
            timestamp=1_000 + offset,
            key=record.key,
            value=record.value,
            headers=[(RawName(name.decode("latin-1")), value) for name, value in record.headers],
        )
    return builder


def batch_of(records: Sequence[Raw], *, codec: str = "none", begin: int = 0) -> bytes:
    """Return a batch as a broker sends it, from this offset on."""
    data = bytearray(builder_of(records, codec).build())
    struct.pack_into(">q", data, 0, begin)
    return bytes(data)


def with_checksum(data: bytes) -> bytes:
    """Return a batch that was changed with the checksum that it should have."""
    changed = bytearray(data)
    struct.pack_into(">I", changed, 17, calc_crc32c(bytes(changed[21:])))
    return bytes(changed)


async def write_raw(
    brokers: Brokers, topic: str, records: Sequence[Raw], *, partition: int = 0, codec: str = "none"
) -> None:
    """Write records as one batch."""
    arguments = brokers.arguments() | {"max_request_size": 1 << 30}
    async with AIOKafkaProducer(**arguments, max_batch_size=1 << 30) as producer:
        batch = producer.create_batch()
        batch._builder = builder_of(records, codec)
        batch._relative_offset = len(records)
        written = await producer.send_batch(batch, topic, partition=partition)
        await written
