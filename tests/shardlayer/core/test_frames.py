"""Text frames and the broadcasts made of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from shardlayer.core.frames import Broadcast, text_frame


@pytest.mark.parametrize("length", [0, 1, 125, 126, 127, 65_535, 65_536, 1_048_576])
def test_frame_is_what_websockets_would_send(length: int) -> None:
    """Each of the three length forms, at its edges, against python-websockets."""
    payload = b"x" * length
    assert text_frame(payload) == Frame(Opcode.TEXT, payload).serialize(mask=False)


def test_broadcast_joins_its_frames() -> None:
    """Several messages are one write."""
    broadcast = Broadcast([b"one", b"two"])
    assert broadcast.texts == (b"one", b"two")
    assert broadcast.frames == text_frame(b"one") + text_frame(b"two")


@given(st.integers(1, 50), st.integers(1, 10), st.integers(0, 70))
def test_after_keeps_what_comes_later(first: int, count: int, floor: int) -> None:
    """The part after an offset has just the later messages; none is None."""
    offsets = range(first, first + count)
    broadcast = Broadcast([b"%d" % offset for offset in offsets], offsets)
    rest = broadcast.after(floor)
    later = tuple(b"%d" % offset for offset in offsets if offset > floor)
    assert (rest.texts if rest is not None else ()) == later


def test_after_keeps_what_has_no_offset() -> None:
    """A message without an offset begins a new count: it and what follows stay."""
    broadcast = Broadcast([b"41", b"42", b"reset", b"1"], [41, 42, 0, 1])
    rest = broadcast.after(42)
    assert rest is not None
    assert rest.texts == (b"reset", b"1")
    assert Broadcast([b"plain"]).after(7) is not None
