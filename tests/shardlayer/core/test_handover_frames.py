"""What a balancer and a worker say to each other."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardlayer.core.handover_frames import (
    MAX_BATCH,
    MAX_NAME,
    MAX_PAYLOAD,
    BrokenHandover,
    GiveBack,
    Handover,
    HandoverFrame,
    HandoverReader,
    Join,
    Load,
    Share,
)

U32 = st.integers(0, 2**32 - 1)
FRAMES: st.SearchStrategy[list[HandoverFrame]] = st.lists(
    st.one_of(
        st.builds(Join, capacity=U32, name=st.text(max_size=MAX_NAME // 4)),
        st.builds(Load, taken=st.integers(0, 2**64 - 1), held=U32, silent=U32),
        st.builds(GiveBack, count=U32),
        st.builds(Share, capacity=U32, reserve=U32, takes_back=st.booleans()),
        st.builds(Handover, given_at=st.floats(0, 1e9), families=st.binary(max_size=MAX_BATCH)),
    )
)


@given(FRAMES, st.integers(1, 50))
def test_what_is_packed_is_read(frames: list[HandoverFrame], size: int) -> None:
    """In whatever pieces it comes."""
    data = b"".join(frame.pack() for frame in frames)
    reader = HandoverReader()
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    assert [frame for piece in pieces for frame in reader.feed(piece)] == frames


def test_long_name_is_cut() -> None:
    """Between two letters, so that it stays a text."""
    (join,) = HandoverReader().feed(Join(capacity=1, name="ä" * MAX_NAME).pack())
    assert isinstance(join, Join)
    assert join.name == "ä" * (MAX_NAME // 2)


def test_unknown_kind_is_passed_over() -> None:
    """A newer peer may say more."""
    load = Load(taken=1, held=2)
    assert HandoverReader().feed(struct.pack("!BH", 99, 3) + b"new" + load.pack()) == [load]


def test_load_of_an_older_worker() -> None:
    """It does not say how many are silent."""
    data = struct.pack("!BHQI", 2, 12, 1, 2)
    assert HandoverReader().feed(data) == [Load(taken=1, held=2, silent=0)]


@pytest.mark.parametrize(
    "data", [struct.pack("!BH", 2, 3) + b"abc", struct.pack("!BH", 1, MAX_PAYLOAD + 1)]
)
def test_broken_frame(data: bytes) -> None:
    """One that is too short or too long ends the conversation."""
    with pytest.raises(BrokenHandover):
        HandoverReader().feed(data)
