"""What a fetch brought is read past what can't be read."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import UnsupportedCodecError
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime.kafka.reading import unpacking
from realtime.kafka.reading.batches import OUTSIDE, Budget, RecordSet, Suspects
from realtime.kafka.reading.record_format import ReadRecord, UnreadRecord, read_varint
from tests.realtime.kafka.raw import CODECS, LATIN, Raw, batch_of, with_checksum

PARTITION = TopicPartition("events", 3)
LIMIT = 100_000  # bytes
PACKED = [codec for codec in CODECS if codec != "none"]


def record_set(
    data: bytes,
    *,
    offset: int = 0,
    limit: int = LIMIT,
    suspects: Suspects | None = None,
    **own: Any,
) -> RecordSet:
    """Return a reader of what a fetch brought."""
    return RecordSet(
        PARTITION,
        data,
        offset=offset,
        log_end=1_000,
        aborted=[],
        only_committed=True,
        budget=Budget(limit),
        suspects=suspects or Suspects(),
        passed_over=set(),
        **own,
    )


def numbered(count: int) -> list[Raw]:
    """Return good records."""
    return [Raw(key=b"k%d" % n, value=b"%d" % n, headers=[(b"h", b"%d" % n)]) for n in range(count)]


def brief(records: Iterable[Any]) -> list[tuple[int, object]]:
    """Read all; return the offset and payload of each, or its error."""
    return [
        (each.offset, each.error if isinstance(each, UnreadRecord) else each.value)
        for each in records
    ]


@pytest.mark.parametrize("codec", CODECS)
def test_good_records(codec: str) -> None:
    """Batches follow each other; what lies before the offset that was asked for is passed over."""
    data = batch_of(numbered(5), codec=codec) + batch_of(numbered(3), codec=codec, begin=5)
    records = record_set(data, offset=2)
    found = list(records)
    assert [(record.offset, record.value) for record in found] == [
        (2, b"2"),
        (3, b"3"),
        (4, b"4"),
        (5, b"0"),
        (6, b"1"),
        (7, b"2"),
    ]
    assert found[0] == ReadRecord("events", 3, 2, 1002, 0, b"k2", b"2", None, 2, 1, (("h", b"2"),))
    assert records.next_fetch_offset == 8


@pytest.mark.parametrize("codec", CODECS)
def test_header_name_that_is_no_utf8(codec: str) -> None:
    """Only its record is bad, with all of it that can be read; those behind it are read."""
    bad = Raw(key=b"k", value=b"v", headers=[(b"a", b"1"), (LATIN, b"2"), (b"n", None)])
    records = list(record_set(batch_of([*numbered(2), bad, *numbered(2)], codec=codec)))
    assert [record.offset for record in records] == [0, 1, 2, 3, 4]
    assert records[2] == UnreadRecord(
        topic="events",
        partition=3,
        offset=2,
        key=b"k",
        value=b"v",
        headers=(("a", b"1"), (r"caf\xe9", b"2"), ("n", None)),
        error=r"a header's name is no UTF-8: b'caf\xe9'",
    )
    assert records[3] == ReadRecord(
        "events", 3, 3, 1003, 0, b"k0", b"0", None, 2, 1, (("h", b"0"),)
    )


def test_go_on_behind_it() -> None:
    """A fetch from the middle of a batch with bad records reads none of them twice."""
    bad = Raw(headers=[(LATIN, b"")])
    data = batch_of([bad, *numbered(1), bad, *numbered(1)])
    for offset in range(4):
        assert [record.offset for record in record_set(data, offset=offset)] == [*range(offset, 4)]


varied = st.builds(
    Raw,
    key=st.none() | st.binary(max_size=20),
    value=st.none() | st.binary(max_size=300),
    headers=st.lists(
        st.tuples(st.text(max_size=5).map(str.encode), st.none() | st.binary(max_size=9)),
        max_size=3,
    ).filter(lambda headers: all(max(name, default=0) < 128 for name, _ in headers)),
)


@settings(max_examples=50, deadline=None)
@given(st.lists(varied, min_size=1, max_size=8), st.sampled_from(list(CODECS)))
def test_both_readers_read_the_same(raw: list[Raw], codec: str) -> None:
    """What is read behind a bad record is what aiokafka would read."""
    alone = list(record_set(batch_of([Raw(), *raw], codec=codec)))
    behind = list(record_set(batch_of([Raw(headers=[(LATIN, b"")]), *raw], codec=codec)))
    assert alone[1:] == behind[1:]


@settings(max_examples=200, deadline=None)
@given(st.lists(varied, min_size=1, max_size=4), st.data())
def test_whatever_is_changed(raw: list[Raw], data: st.DataObject) -> None:
    """A batch of any bytes raises nothing, and leads on to the one behind it."""
    batch = bytearray(batch_of(raw))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(57, len(batch) - 1))  # its records, and how many there are
        batch[place] = data.draw(st.integers(0, 255))
    changed = with_checksum(bytes(batch))
    records = list(record_set(changed + batch_of(numbered(2), begin=len(raw))))
    assert [record.offset for record in records][-2:] == [len(raw), len(raw) + 1]
    offsets = [record.offset for record in records]
    assert offsets == sorted(set(offsets))


def test_checksum() -> None:
    """A batch that fails it is fetched once more; then it is passed over, and that is told."""
    good = batch_of(numbered(2), begin=3)
    broken = bytearray(batch_of(numbered(3)))
    broken[-1] ^= 1
    suspects = Suspects()
    first = record_set(bytes(broken) + good, suspects=suspects)
    assert brief(first) == []
    assert first.next_fetch_offset == 0
    second = record_set(bytes(broken) + good, suspects=suspects)
    assert brief(second) == [
        (0, "its batch fails its checksum (offsets 0 to 2)"),
        (3, b"0"),
        (4, b"1"),
    ]


@pytest.mark.parametrize("offset", [2**31 - 1, -5])
def test_broken_last_offset(offset: int) -> None:
    """Where a batch ends is believed only as far as it can be."""
    broken = bytearray(batch_of(numbered(3)))
    struct.pack_into(">i", broken, 23, offset)
    suspects = Suspects()
    for _ in range(2):
        records = record_set(bytes(broken), suspects=suspects)
        found = brief(records)
    assert len(found) <= 1
    assert records.next_fetch_offset <= 1_000


@pytest.mark.parametrize("codec", PACKED)
def test_payload_that_can_not_be_unpacked(codec: str) -> None:
    """Its batch is passed over, and that is told with its offsets."""
    broken = bytearray(batch_of(numbered(50), codec=codec))
    broken[61 + 10 : 61 + 60] = b"\xff" * 50
    records = record_set(with_checksum(bytes(broken)) + batch_of(numbered(1), begin=50))
    lost, *good = brief(records)
    assert lost[0] == 0
    assert "(offsets 0 to 49)" in str(lost[1])
    assert good == [(50, b"0")]


@pytest.mark.parametrize("codec", PACKED)
def test_what_unpacks_to_too_much(codec: str) -> None:
    """The records within the limit are read; the one that is not shows its key and its size."""
    large = Raw(key=b"large", value=b"x" * 3 * LIMIT)
    data = batch_of([*numbered(2), large, *numbered(2)], codec=codec)
    assert len(data) < LIMIT
    read = list(record_set(data))
    assert [record.offset for record in read] == [0, 1, 2, 3]
    assert [record.value for record in read[:2]] == [b"0", b"1"]
    assert (read[2].key, read[2].value) == (b"large", None)
    assert read[2].error == (
        "its batch unpacks to more than 100,000 bytes; a value of 300,000 bytes left out"
    )
    assert read[3].error == "its batch unpacks to more than 100,000 bytes (offsets 3 to 4)"


def test_budget_ends_a_round() -> None:
    """Batches that unpack to more than it together are left for the next fetch."""
    one = [Raw(value=b"x" * LIMIT)]
    data = b"".join(batch_of(one, begin=begin, codec="gzip") for begin in range(4))
    records = record_set(data, limit=2 * LIMIT)
    assert [record.offset for record in records] == [0, 1]
    assert records.next_fetch_offset == 2


def test_library_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What would be read with it is not passed over."""
    data = batch_of(numbered(50), codec="lz4")
    monkeypatch.setattr(unpacking, "cramjam", None)
    with pytest.raises(UnsupportedCodecError, match="cramjam is missing"):
        next(record_set(data))


def test_decoders_of_the_project() -> None:
    """Those among the consumer's options are used; what they raise costs their record."""

    def decode(value: bytes | None) -> bytes:
        if value == b"1":
            raise ValueError("no such schema")
        return b"<%b>" % (value or b"")

    records = record_set(batch_of(numbered(3)), decode_value=decode)
    assert brief(records) == [(0, b"<0>"), (1, "no such schema"), (2, b"<2>")]


def compacted(records: list[Raw], *, offsets: int) -> bytes:
    """Return a batch of which compaction has removed the last ones of so many records."""
    data = bytearray(batch_of(records))
    struct.pack_into(">i", data, 23, offsets - 1)
    return with_checksum(bytes(data))


def refuse_one(value: bytes | None) -> bytes | None:
    """Return a payload as it is, but for one that is refused."""
    if value == b"1":
        raise ValueError("no such schema")
    return value


@pytest.mark.parametrize("count", [2, 3])
def test_decoder_that_refuses_a_record_of_a_compacted_batch(count: int) -> None:
    """The gap at the batch's end is no loss: nothing stands for what never was."""
    batch = compacted(numbered(count), offsets=10)
    records = record_set(batch + batch_of(numbered(1), begin=10), decode_value=refuse_one)
    read = [(0, b"0"), (1, "no such schema"), (2, b"2")][:count]
    assert brief(records) == [*read, (10, b"0")]
    assert records.next_fetch_offset == 11
    behind = record_set(batch, offset=5, decode_value=refuse_one)
    assert brief(behind) == []
    assert behind.next_fetch_offset == 10


def test_name_that_is_no_utf8_in_a_compacted_batch() -> None:
    """The same without a decoder."""
    records = record_set(compacted([*numbered(1), Raw(headers=[(LATIN, b"")])], offsets=10))
    assert [record.offset for record in records] == [0, 1]
    assert records.next_fetch_offset == 10


@pytest.mark.parametrize("told", [1, 3])
def test_batch_that_tells_a_wrong_count_of_records(told: int) -> None:
    """What its bytes hold beside them is lost, and that is told."""
    data = bytearray(compacted(numbered(2), offsets=10))
    struct.pack_into(">i", data, 57, told)
    *_, lost = record_set(with_checksum(bytes(data)))
    assert isinstance(lost, UnreadRecord)
    assert f"(offsets {min(told, 2)} to 9)" in lost.error


def test_record_without_a_place_of_its_own_in_a_batch_with_gaps() -> None:
    """It is told in the place behind the one before it, and that more may be lost."""
    data = bytearray(compacted(numbered(3), offsets=10))
    first, second, third = (data.index(b"k%d" % n) - 2 for n in range(3))  # the offsets' deltas
    assert (data[first], data[second], data[third]) == (0, 2, 4)
    data[second], data[third] = 2 * 5, 2 * 60
    batch = with_checksum(bytes(data))
    *records, (offset, lost) = brief(record_set(batch))
    assert records == [(0, b"0"), (5, b"1"), (6, OUTSIDE)]
    assert offset == 7
    assert "(offsets 7 to 9)" in str(lost)
    [(offset, lost)] = brief(record_set(batch, offset=8))  # in the gap
    assert offset == 8
    assert "(offsets 8 to 9)" in str(lost)


def test_batch_of_before_2017_one_record_of_which_is_refused() -> None:
    """Those behind it are read, as in a batch of today."""
    builder = LegacyRecordBatchBuilder(magic=1, compression_type=0, batch_size=1 << 20)
    for offset in range(4):
        builder.append(offset, timestamp=1_000, key=b"k", value=b"%d" % offset)
    records = list(record_set(bytes(builder.build()), decode_value=refuse_one))
    assert brief(records) == [(0, b"0"), (1, "no such schema"), (2, b"2"), (3, b"3")]
    assert (records[1].key, records[1].value) == (b"k", b"1")


@given(st.integers(-(2**63), 2**63 - 1))
def test_varint(number: int) -> None:
    """Numbers are read as Kafka's protocol writes them."""
    zigzag = (number << 1) ^ (number >> 63)
    data = bytearray()
    while zigzag > 0x7F:
        data.append(zigzag & 0x7F | 0x80)
        zigzag >>= 7
    data.append(zigzag)
    assert read_varint(bytes(data), 0) == (number, len(data))
    with pytest.raises(ValueError, match="cut off"):
        read_varint(bytes(data[:-1]), 0)
