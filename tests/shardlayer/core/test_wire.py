"""The packed batch, byte by byte."""

from __future__ import annotations

import json
import string
from contextlib import suppress

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardlayer.core import wire
from shardlayer.core.exceptions import WireError, WireVersionError
from shardlayer.core.wire import (
    ENTRY_OVERHEAD,
    VERSION,
    Entry,
    Kind,
    opening,
    pack_batch,
    pack_body,
    pack_entry,
    unpack_batch,
    unpack_stamp,
)

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)  # which JSON has not
    | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=10,
)
names = st.text(string.ascii_letters + string.digits + "-_.!", min_size=1, max_size=99)
epochs = st.one_of(
    st.just(""), st.text(string.ascii_lowercase + string.digits, min_size=8, max_size=8)
)
entries = st.builds(
    Entry,
    kind=st.sampled_from(Kind),
    name=names,
    payload=st.binary(max_size=300),
    offset=st.integers(0, 2**53),
    epoch=epochs,
)


def pack(entry: Entry) -> bytes:
    body = pack_body(Kind(entry.kind), entry.name, entry.payload)
    return pack_entry(body, offset=entry.offset, epoch=entry.epoch)


def test_batch_has_the_documented_bytes() -> None:
    """One publication, written out by hand from the module's description."""
    batch = pack_batch(
        pack_entry(pack_body(Kind.PUBLICATION, "ab", b"{}"), offset=258, epoch="k3k3k3k3")
    )
    assert batch == (
        b"\x01"  # version
        b"\0\0\0\0\0\0\x01\x02"  # offset
        b"k3k3k3k3"  # epoch
        b"\0\0\0\x06"  # length of the body
        b"\0\x02ab"  # kind, length of the name, name
        b"{}"  # payload
    )


def test_stamp_has_the_documented_bytes() -> None:
    """A batch says first when its oldest publication began its way; or nothing of it."""
    assert pack_batch(since=1.5) == (
        b"\x01"  # version
        b"\0\0\0\0\0\0\0\0"  # offset
        b"\0\0\0\0\0\0\0\0"  # epoch
        b"\0\0\0\x0a"  # length of the body
        b"\x0a\x00"  # kind, length of the name
        b"\0\0\0\0\0\0\x05\xdc"  # ms since 1970
    )
    (entry,) = unpack_batch(opening(1.5))
    assert unpack_stamp(entry.payload) == 1.5
    assert unpack_stamp(b"short") == 0
    assert pack_batch() == opening(0) == opening(-1) == b"\x01"


@given(st.lists(entries, max_size=20))
def test_what_is_packed_is_unpacked(batch: list[Entry]) -> None:
    """Any batch comes back as it was, in order."""
    assert unpack_batch(pack_batch(*map(pack, batch))) == batch


@given(st.lists(entries, min_size=1, max_size=5), st.data())
def test_truncated_batch_is_refused_or_shorter(batch: list[Entry], data: st.DataObject) -> None:
    """A batch that is cut anywhere is an error or, cut between entries, just shorter."""
    packed = pack_batch(*map(pack, batch))
    cut = packed[: data.draw(st.integers(0, len(packed) - 1))]
    try:
        unpacked = unpack_batch(cut)
    except WireVersionError:
        raise AssertionError("the version byte was there") from None
    except WireError:
        return
    assert unpacked == batch[: len(unpacked)]
    assert len(unpacked) < len(batch)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_batch_or_a_wire_error(noise: bytes) -> None:
    """Garbage never raises anything but WireError."""
    with suppress(WireError):
        unpack_batch(noise)


def test_unknown_version_asks_for_a_restart() -> None:
    """A batch of a later release is named as such, with what to do."""
    with pytest.raises(WireVersionError, match=r"wire version 9.*restart") as caught:
        unpack_batch(bytes((9,)) + b"whatever")
    assert caught.value.version == 9
    assert caught.value.known == (VERSION,)


@pytest.mark.parametrize("name", ["x" * 256, "café"])
def test_name_that_does_not_fit_is_refused(name: str) -> None:
    """A name must be ASCII and fit its length byte."""
    with pytest.raises(WireError, match="can't be packed"):
        pack_body(Kind.MESSAGE, name, b"")


def test_overhead_is_what_an_entry_adds() -> None:
    """Batches are bounded in bytes by this constant."""
    assert len(pack_entry(pack_body(Kind.MESSAGE, "", b""))) == ENTRY_OVERHEAD


@given(json_values)
def test_json_may_be_json(value: object) -> None:
    """Nothing that is JSON is refused, however it is written."""
    for text in (orjson.dumps(value), json.dumps(value, indent=1).encode()):
        assert wire.may_be_json(text)
        assert wire.may_be_json(b" \r\n" + text + b"\t\n ")


@pytest.mark.parametrize(
    "data",
    [b"", b" ", b"x", b"hello", b"{", b'{"a":1', b"]", b"[}", b"\xff", b'"\xff"', b"-", b"\0"],
)
def test_what_can_be_no_json(data: bytes) -> None:
    """By its bytes or by its ends."""
    assert not wire.may_be_json(data)
