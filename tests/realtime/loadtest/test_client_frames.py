"""What clients that only count know of RFC 6455."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.loadtest.client_frames import (
    COMPRESSED,
    PONG,
    TEXT,
    UnexpectedFrame,
    masked_frame,
    split_frames,
)
from shardlayer.core.frames import text_frame


@given(st.lists(st.integers(0, 70_000), max_size=4), st.data())
def test_whole_frames_are_found_wherever_the_bytes_end(
    lengths: list[int], data: st.DataObject
) -> None:
    """Frames of all three kinds of length are split; a part of one is left."""
    payloads = [bytes([65 + i]) * length for i, length in enumerate(lengths)]
    sent = b"".join(text_frame(payload) for payload in payloads)
    end = data.draw(st.integers(0, len(sent)))
    buffer = bytearray(sent)
    frames, taken = split_frames(buffer, end)
    read = [bytes(buffer[start:stop]) for _, start, stop in frames]
    assert read == payloads[: len(read)]
    assert all(opcode == TEXT for opcode, _, _ in frames)
    assert taken == sum(len(text_frame(payload)) for payload in read) <= end
    assert end == len(sent) or len(read) <= len(payloads)


@pytest.mark.parametrize("first", [0x01, 0xC1, 0x80 | 0x40 | 0x2])
def test_fragments_and_compressed_frames_are_refused(first: int) -> None:
    """No peer sends them; one that did would be counted wrongly."""
    with pytest.raises(UnexpectedFrame, match="fragment"):
        split_frames(bytearray([first, 0]), 2)


def test_a_masked_frame_of_a_server_is_refused() -> None:
    """RFC 6455, 5.1 forbids it."""
    with pytest.raises(UnexpectedFrame, match="mask"):
        split_frames(bytearray(masked_frame(TEXT, b"hello")), 11)


def test_a_client_frame_is_masked_with_zero() -> None:
    """FIN and opcode, mask bit and length, four zero bytes, the payload as it is."""
    assert masked_frame(PONG, b"hi") == b"\x8a\x82\0\0\0\0hi"


@pytest.mark.parametrize("size", [125, 126, 65_535])
def test_a_client_frame_is_as_long_as_it_says(size: int) -> None:
    """From 126 bytes on two more say the length (RFC 6455, 5.2)."""
    frame = masked_frame(TEXT, b"x" * size)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2)
    assert frame == b"\x81" + length + bytes(4) + b"x" * size


def test_a_long_client_frame_is_refused() -> None:
    """The clients only ever send commands."""
    with pytest.raises(ValueError, match="short"):
        masked_frame(TEXT, b"x" * 65_536)


def test_compressed_frames() -> None:
    """Who asks for them is told which they are; for others they are an error."""
    buffer = bytearray(b"\x81\x01a" + b"\xc1\x02bc")
    found, _ = split_frames(buffer, len(buffer), compressed=True)
    assert found == [(TEXT, 2, 3), (TEXT | COMPRESSED, 5, 7)]
    with pytest.raises(UnexpectedFrame):
        split_frames(buffer, len(buffer))
