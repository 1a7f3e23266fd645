"""A fetch's request and answer are those of aiokafka, byte by byte and field by field."""

from __future__ import annotations

import struct
from io import BytesIO
from typing import Any

import pytest
from aiokafka.protocol.fetch import FetchRequest, FetchRequest_v11, FetchResponse_v11
from hypothesis import given
from hypothesis import strategies as st

from realtime.kafka.reading.lean_fetch import LeanFetch, LeanFetchResponse

INT32 = st.integers(-(2**31), 2**31 - 1)
INT64 = st.integers(-(2**63), 2**63 - 1)
NAMES = st.text("abcdef.-_ü", max_size=20)
VERSIONS = {1: (4, 17)}  # of a broker


@given(
    st.lists(st.tuples(NAMES, st.lists(st.tuples(INT32, INT64, INT32), max_size=4)), max_size=3),
    NAMES,
)
def test_request(topics: list[Any], rack: str) -> None:
    """It is the same bytes, and its answer is read by us."""
    theirs = FetchRequest(50, 1, 1_000, 1, topics, rack_id=rack)
    plain = theirs.prepare(VERSIONS)
    lean = LeanFetch(theirs).prepare(VERSIONS)
    assert type(plain) is FetchRequest_v11
    assert lean.encode() == plain.encode()
    assert lean.RESPONSE_TYPE is LeanFetchResponse
    header = lean.build_request_header(correlation_id=7, client_id="pool")
    assert header.encode() == plain.build_request_header(7, "pool").encode()


def test_request_to_an_old_broker() -> None:
    """It takes a version that aiokafka writes."""
    theirs = FetchRequest(50, 1, 1_000, 1, [("events", [(0, 5, 100)])])
    lean = LeanFetch(theirs).prepare({1: (0, 10)})
    assert lean.API_VERSION == 10
    assert lean.encode() == theirs.prepare({1: (0, 10)}).encode()


ABORTED = st.none() | st.lists(st.tuples(INT64, INT64), max_size=2)
PARTITIONS = st.tuples(
    *(INT32, st.integers(-1, 100), INT64, INT64, INT64, ABORTED, INT32),
    st.none() | st.binary(max_size=30),
)
ANSWERS = st.lists(st.tuples(NAMES, st.lists(PARTITIONS, max_size=4)), max_size=3)


@given(ANSWERS)
def test_answer(topics: list[Any]) -> None:
    """It has the same fields, whatever the broker left out."""
    data = FetchResponse_v11(5, 0, 3, topics).encode()
    theirs = FetchResponse_v11.decode(data)
    ours = LeanFetchResponse.decode(BytesIO(data))
    assert isinstance(ours, FetchResponse_v11)
    assert ours.API_VERSION == 11
    assert ours == theirs


@given(ANSWERS, st.data())
def test_answer_that_is_cut_off(topics: list[Any], data: Any) -> None:
    """It is an error, as aiokafka has it, and nothing is made of it."""
    whole = FetchResponse_v11(5, 0, 3, topics).encode()
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    with pytest.raises((ValueError, struct.error)):
        LeanFetchResponse.decode(cut)


def test_answer_that_leads_back() -> None:
    """A length below none is refused: 24 bytes were read two billion times."""
    data = struct.pack(">ihii", 0, -6, 0, 2**31 - 1) + struct.pack(">h", -16) + bytes(8)
    with pytest.raises(ValueError, match="without a name"):
        LeanFetchResponse.decode(data)
