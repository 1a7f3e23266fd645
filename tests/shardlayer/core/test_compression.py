"""Broadcasts compressed once, and to whom they go."""

from __future__ import annotations

import json
import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame
from websockets.streams import StreamReader

from shardlayer.core.compression import Compression, apart
from shardlayer.core.frames import Broadcast
from tests.shardlayer.fakes import RecordingSink

COMPRESSION = Compression(level=1, min_size=100, min_clients=2)
NEWS = json.dumps({"news": [{"id": n, "title": f"Title {n}"} for n in range(30)]}).encode()


class CompressingSink(RecordingSink):
    """Takes compressed frames."""

    compression = COMPRESSION


def prepared(
    *texts: bytes, clients: int = 2, compression: Compression = COMPRESSION
) -> tuple[Broadcast, int]:
    """Return a broadcast that was prepared for so many clients, and in how many steps."""
    broadcast = Broadcast(texts)
    return broadcast, sum(1 for _ in compression.prepare(broadcast, clients))


def frames_of(data: bytes) -> list[tuple[bool, bytes]]:
    """Return each frame: whether it is compressed, and its text."""
    reader = StreamReader()
    reader.feed_data(data)
    found = []
    while reader.buffer:
        try:
            next(Frame.parse(reader.read_exact, mask=False, extensions=[Kept()]))  # type: ignore[list-item]
        except StopIteration as parsed:
            frame: Frame = parsed.value
        text = bytes(frame.data)
        is_compressed = text[:1] == b"\x01"
        text = (
            zlib.decompressobj(-12).decompress(text[1:] + b"\x00\x00\xff\xff")
            if is_compressed
            else text[1:]
        )
        found.append((is_compressed, text))
    return found


class Kept:
    """Writes RSV1 before the data, and takes it away."""

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
        return Frame(frame.opcode, bytes((frame.rsv1,)) + bytes(frame.data), frame.fin)


def test_each_message_stands_for_itself() -> None:
    """One that compresses well is compressed, each with a window of its own; others are not."""
    noise = random.Random(1).randbytes(200)
    broadcast, _ = prepared(NEWS, b"short", noise, NEWS)
    assert broadcast.compressed is not None
    assert frames_of(broadcast.compressed) == [
        (True, NEWS),
        (False, b"short"),
        (False, noise),
        (True, NEWS),
    ]
    assert len(broadcast.compressed) < len(broadcast.frames)


@pytest.mark.parametrize("texts", [(b"short",), (random.Random(1).randbytes(500),), ()])
def test_what_is_not_worth_it(texts: tuple[bytes, ...]) -> None:
    """Short messages and noise stay as they are."""
    assert prepared(*texts)[0].compressed is None


def test_too_few_clients() -> None:
    """So few don't pay for it."""
    assert prepared(NEWS, clients=1)[0].compressed is None
    assert prepared(NEWS, clients=2)[0].compressed is not None


def test_a_broadcast_is_compressed_once() -> None:
    """Again is no work."""
    broadcast, _ = prepared(NEWS)
    compressed = broadcast.compressed
    list(COMPRESSION.prepare(broadcast, 5))
    assert broadcast.compressed is compressed


def test_a_large_message_takes_turns() -> None:
    """The event loop goes on between steps of 64 KiB."""
    large = b'"' + random.Random(1).randbytes(250_000).hex().encode() + b'"'
    broadcast, steps = prepared(large)
    assert steps == len(large) // 65_536
    assert broadcast.compressed is not None
    assert frames_of(broadcast.compressed) == [(True, large)]


@given(
    st.lists(st.text(max_size=2_000).map(str.encode), max_size=5),
    st.integers(1, 9),
)
def test_any_text(texts: list[bytes], level: int) -> None:
    """Whatever is compressed comes out again."""
    compression = Compression(level=level, min_size=0, min_clients=0)
    broadcast, _ = prepared(*texts, compression=compression)
    if broadcast.compressed is not None:
        assert [text for _, text in frames_of(broadcast.compressed)] == texts


def test_sinks_are_told_apart() -> None:
    """In order; those of other servers take plain frames."""
    plain, first, second = RecordingSink(), CompressingSink(), CompressingSink()
    unasked = CompressingSink()
    unasked.compression = None  # type: ignore[assignment]
    assert apart([first, plain, unasked, second]) == ([first, second], [plain, unasked], 0)
    assert apart([first, unasked]) == ([first], [unasked], 0)
    assert apart([]) == ([], [], 0)
