"""Reading what a fetch brought, past whatever can't be read.

aiokafka's own reader (`aiokafka.consumer.fetcher.PartitionRecords`) raises in the middle of a batch
and begins it anew each time, so one record that it can't read ends its partition. Here it becomes
an `UnreadRecord` in its place, and what stands behind it is read. aiokafka's compiled decoder reads
each batch as long as it can; only what it leaves is read by the lines below.

The format: https://kafka.apache.org/documentation/#recordbatch
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import UnsupportedCodecError
from aiokafka.record.control_record import ABORT_MARKER, ControlRecord
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.legacy_records import LegacyRecordBatch

from realtime.kafka.reading.batch_format import (
    CODEC,
    HEADER,
    LOG_APPEND_TIME,
    RecordBatch,
    batches_of,
    unpacked,
)
from realtime.kafka.reading.record_format import (
    DecodedRecord,
    Headers,
    ReadRecord,
    RecordFields,
    UnreadRecord,
    read_varint,
)
from realtime.kafka.reading.unpacking import unpack

OUTSIDE = "its offset is not in its batch"

# Made for each record: without the function that calling the class goes through.
_as_record: Callable[[tuple[Any, ...]], ReadRecord] = partial(tuple.__new__, ReadRecord)

Decode = Callable[[bytes | None], Any]


class Suspects:
    """Batches that failed their checksum once: they are fetched once more before that counts."""

    def __init__(self) -> None:
        self._seen: set[tuple[TopicPartition, int]] = set()

    def seen_before(self, partition: TopicPartition, offset: int) -> bool:
        """Note a batch; return whether it had been noted."""
        place = (partition, offset)
        if place in self._seen:
            self._seen.discard(place)
            return True
        self._seen.add(place)
        return False


class Budget:
    """Bytes that one round of reading may unpack beyond its first batch."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.left = size

    def renew(self) -> None:
        """Begin another round."""
        self.left = self.size


class RecordSet:
    """The records that a fetch brought of one partition, in order: an iterator.

    Each is a ReadRecord or an UnreadRecord. It may end before its last record; then the rest
    is to be fetched again.

    Args:
        partition: Whose records.
        data: Its bytes.
        offset: What was asked for; earlier records of the first batch are passed over.
        log_end: The partition's, as the broker told with the fetch.
        aborted: Producer id and first offset of each aborted transaction among them.
        only_committed: Whether the records of aborted transactions are passed over.
        budget: What may be unpacked; a batch counts with its whole size.
        suspects: Kept over fetches.
        passed_over: Gets the partition when there is a batch in it that is nobody's: a mark of a
            transaction, or one that was aborted.
        decode_key: Makes a key of what came; None: it stays as it is.
        decode_value: The same for a payload.

    Attributes:
        next_fetch_offset: Where to go on.
        held: Bytes of the batch that it is in the middle of, unpacked; 0 if it was not packed.
    """

    def __init__(
        self,
        partition: TopicPartition,
        data: bytes,
        *,
        offset: int,
        log_end: int,
        aborted: Collection[tuple[int, int]],
        only_committed: bool,
        budget: Budget,
        suspects: Suspects,
        passed_over: set[TopicPartition],
        decode_key: Decode | None = None,
        decode_value: Decode | None = None,
    ) -> None:
        self.next_fetch_offset = offset
        self.held = 0
        self._partition = partition
        self._data = data
        self._log_end = log_end
        self._aborted = sorted(aborted, key=lambda each: each[1])
        self._aborted_producers: set[int] = set()
        self._only_committed = only_committed
        self._budget = budget
        self._suspects = suspects
        self._passed_over = passed_over
        self._decode_key = decode_key
        self._decode_value = decode_value
        self._decodes = decode_key is not None or decode_value is not None
        self._records = self._read()

    def __iter__(self) -> RecordSet:
        return self

    def __next__(self) -> Any:
        """Return the next record.

        Raises:
            UnsupportedCodecError: There is nothing here to unpack its batch with.
        """
        return next(self._records)

    def _read(self) -> Iterator[Any]:
        batches = list(batches_of(self._data))
        for index, batch in enumerate(batches):
            if batch.magic < 2:
                yield from self._read_legacy(batch)
                continue
            if batch.end <= self.next_fetch_offset:
                continue
            coded = DefaultRecordBatch(batch.view)
            if not coded.validate_crc():
                if not self._suspects.seen_before(self._partition, batch.begin):
                    return
                following = batches[index + 1].begin if index + 1 < len(batches) else batch.end
                yield self._lost(min(following, self._log_end), "its batch fails its checksum")
                continue
            if self._is_passed_over(coded):
                self._passed_over.add(self._partition)
            else:
                if self._budget.left <= 0:
                    return
                yield from self._read_batch(batch, coded)
            self.next_fetch_offset = batch.end

    def _is_passed_over(self, batch: DefaultRecordBatch) -> bool:
        """Tell whether a batch is no application's, or of a transaction that was aborted."""
        if self._only_committed:
            while self._aborted and self._aborted[0][1] <= batch.base_offset:
                self._aborted_producers.add(self._aborted.pop(0)[0])
            if batch.is_control_batch:
                record = next(batch, None)
                if record is not None and ControlRecord.parse(record.key) == ABORT_MARKER:
                    self._aborted_producers.discard(batch.producer_id)
            elif batch.is_transactional and batch.producer_id in self._aborted_producers:
                return True
        return bool(batch.is_control_batch)

    def _read_batch(self, batch: RecordBatch, coded: DefaultRecordBatch) -> Iterator[Any]:
        packed = batch.view[HEADER.size :]
        payload: bytes | memoryview = packed
        if codec := batch.attributes & CODEC:
            try:
                payload, is_whole = unpack(codec, packed, limit=self._budget.size)
            except UnsupportedCodecError:
                raise
            except Exception as error:  # of the codec's library
                yield self._lost(batch.end, f"its batch can't be unpacked: {error}")
                return
            self._budget.left -= len(payload)
            if not is_whole:
                size = f"its batch unpacks to more than {self._budget.size:,} bytes"
                yield from self._read_rest(batch, payload, size)
                return
            self.held = len(payload)
            coded = DefaultRecordBatch(unpacked(batch, payload))
        else:
            self._budget.left -= len(payload)
        try:
            end = batch.end
            make = self._record
            for record in coded:
                offset = record.offset
                if offset >= end:
                    raise ValueError(OUTSIDE)
                if offset >= self.next_fetch_offset:
                    found = make(
                        offset,
                        record.timestamp,
                        record.timestamp_type,
                        record.key,
                        record.value,
                        record.headers,
                        None,
                    )
                    self.next_fetch_offset = offset + 1
                    yield found
        except Exception as error:
            yield from self._read_rest(batch, payload, str(error))
        self.held = 0

    def _read_rest(
        self, batch: RecordBatch, payload: bytes | memoryview, why: str
    ) -> Iterator[Any]:
        """Read records one by one, those that can't be read too; then what has no end, as one.

        Behind the last one compaction may have removed some. That is no loss if all records tell
        their offsets, and no bytes are left.
        """
        at = place = 0
        left, all_tell = batch.records, True
        while left > 0 and place < batch.end - batch.begin:
            try:
                length, begin = read_varint(payload, at)
            except ValueError:
                break
            at = begin + length
            is_cut = length < 0 or at > len(payload)
            if is_cut:
                at = len(payload)
            fields = RecordFields()
            record = self._read_one(batch, place, fields, payload[begin:at], why if is_cut else "")
            yield from self._ahead(record)
            all_tell = all_tell and _is_inside(fields, batch)
            place = max(place, record.offset - batch.begin) + 1
            left -= 1
        is_whole = left == 0 < batch.records and at == len(payload) and all_tell
        if self.next_fetch_offset < batch.end and not is_whole:
            yield self._lost(batch.end, why)
        self.next_fetch_offset = max(self.next_fetch_offset, batch.end)

    def _ahead(self, record: ReadRecord | UnreadRecord) -> Iterator[Any]:
        if record.offset >= self.next_fetch_offset:
            self.next_fetch_offset = record.offset + 1
            yield record

    def _read_one(
        self,
        batch: RecordBatch,
        place: int,
        found: RecordFields,
        data: bytes | memoryview,
        why: str,
    ) -> ReadRecord | UnreadRecord:
        """Read one record.

        Args:
            batch: Where it is.
            place: What its offset is after the batch's first, if it does not tell that itself.
            found: Takes its fields.
            data: Its bytes.
            why: Why there is no more of it than this, if so.
        """
        try:
            found.read(data)
            if not _is_inside(found, batch):
                raise ValueError(OUTSIDE)
            if not why and not found.faults:
                return self._record(
                    batch.begin + found.offset,
                    batch.max_timestamp
                    if batch.attributes & LOG_APPEND_TIME
                    else batch.first_timestamp + found.timestamp,
                    int(bool(batch.attributes & LOG_APPEND_TIME)),
                    found.key,
                    found.value,
                    found.headers,
                    None,
                )
        except Exception as error:  # of our own reading, or of the project's decoders
            found.faults.append(str(error) or type(error).__name__)
        offset = found.offset if _is_inside(found, batch) else place
        size = [f"a value of {found.size:,} bytes left out"] if found.is_cut else []
        return UnreadRecord(
            topic=self._partition.topic,
            partition=self._partition.partition,
            offset=batch.begin + offset,
            key=found.key,
            value=found.value,
            headers=tuple(found.headers),
            error="; ".join([why, *size] if why else found.faults),
        )

    def _read_legacy(self, batch: RecordBatch) -> Iterator[Any]:
        """Read a batch of before 2017, which Kafka 4 has no more; not bounded when unpacked."""
        coded = LegacyRecordBatch(batch.view, batch.magic)
        end = coded.next_offset
        try:
            if not coded.validate_crc():
                raise ValueError("its batch fails its checksum")
            for record in coded:
                if record.offset >= self.next_fetch_offset:
                    self.next_fetch_offset = record.offset + 1
                    yield self._legacy_record(record)
        except UnsupportedCodecError:
            raise
        except Exception as error:
            yield self._lost(end, str(error))
        self.next_fetch_offset = max(self.next_fetch_offset, end)

    def _legacy_record(self, record: Any) -> ReadRecord | UnreadRecord:
        try:
            return self._record(
                record.offset,
                record.timestamp,
                record.timestamp_type,
                record.key,
                record.value,
                (),
                record.checksum,
            )
        except Exception as error:  # of the project's decoders
            return UnreadRecord(
                topic=self._partition.topic,
                partition=self._partition.partition,
                offset=record.offset,
                key=record.key,
                value=record.value,
                error=str(error) or type(error).__name__,
            )

    def _record(
        self,
        offset: int,
        timestamp: int,
        timestamp_type: int,
        key: bytes | None,
        value: bytes | None,
        headers: Headers,
        checksum: int | None,
    ) -> ReadRecord:
        topic, partition = self._partition
        record = _as_record(
            (
                topic,
                partition,
                offset,
                timestamp,
                timestamp_type,
                key,
                value,
                checksum,
                -1 if key is None else len(key),
                -1 if value is None else len(value),
                tuple(headers),
            )
        )
        return self._decoded(record) if self._decodes else record

    def _decoded(self, record: ReadRecord) -> DecodedRecord:
        """Return it with what the project's decoders make of it, and as it came.

        Raises:
            TypeError: The payload is not bytes then: only these can be measured, and published.
        """
        key, value = record.key, record.value
        if self._decode_key is not None:
            key = self._decode_key(key)
        if self._decode_value is not None:
            value = self._decode_value(value)
            if not isinstance(value, bytes | None):
                made = type(value).__name__
                raise TypeError(f"the value_deserializer made {made} of the payload, not bytes")
        decoded = DecodedRecord(*record._replace(key=key, value=value))
        decoded.raw_key, decoded.raw_value = record.key, record.value
        return decoded

    def _lost(self, end: int, why: str) -> UnreadRecord:
        """Go on at `end`; return what stands for all before it."""
        offset = self.next_fetch_offset
        self.next_fetch_offset = max(end, offset + 1)
        last = self.next_fetch_offset - 1
        return UnreadRecord(
            topic=self._partition.topic,
            partition=self._partition.partition,
            offset=offset,
            error=why if last == offset else f"{why} (offsets {offset} to {last})",
        )


def _is_inside(record: RecordFields, batch: RecordBatch) -> bool:
    """Tell whether a record tells an offset, and one of its batch."""
    return 0 <= record.offset < batch.end - batch.begin
