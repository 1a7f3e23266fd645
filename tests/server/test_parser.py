"""What websockets' Sans-I/O protocol has beside its documented methods is still there."""

from __future__ import annotations

import gc
import weakref

import pytest
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from shardlayer.server import parser
from tests.server.client import CONT, PING, TEXT, frame


@pytest.fixture
def frames() -> ServerProtocol:
    """A connection on which messages of 100 bytes may come."""
    return ServerProtocol(state=OPEN, max_size=(100, 100))


@pytest.mark.parametrize(
    ("data", "within"),
    [
        (b"", False),
        (frame(TEXT, b"whole"), False),
        (frame(PING, b"ping"), False),
        (frame(TEXT, b"half")[:-1], True),
        (frame(TEXT, b"first", fin=False), True),
        (frame(TEXT, b"first", fin=False) + frame(CONT, b"last"), False),
    ],
    ids=["nothing", "whole", "ping", "half", "fragment", "fragments"],
)
def test_is_within_message(frames: ServerProtocol, data: bytes, within: bool) -> None:
    """A part of a frame, and a part of a fragmented message, are unfinished."""
    if data:
        frames.receive_data(data)
    assert parser.is_within_message(frames) is within


def test_limit_messages(frames: ServerProtocol) -> None:
    """A limit can be lowered and not raised, and holds from the next frame on."""
    parser.limit_messages(frames, 10)
    parser.limit_messages(frames, 20)
    frames.receive_data(frame(TEXT, b"x" * 10))
    assert not parser.has_failed(frames)
    frames.receive_data(frame(TEXT, b"x" * 11))
    assert frames.close_sent is not None
    assert frames.close_sent.code == 1009


def test_failure_is_forgotten(frames: ServerProtocol) -> None:
    """A protocol error is known until it is forgotten."""
    frames.receive_data(frame(CONT, b"of nothing"))
    assert parser.has_failed(frames)
    parser.forget_failure(frames)
    assert not parser.has_failed(frames)


@pytest.mark.parametrize(
    "data", [frame(TEXT, b"good"), frame(CONT, b"of nothing")], ids=["good", "bad"]
)
def test_no_cycle_is_left(frames: ServerProtocol, data: bytes) -> None:
    """A protocol that is let go is freed at once, whatever came."""

    def use() -> weakref.ref[ServerProtocol]:
        protocol = ServerProtocol(state=OPEN)
        protocol.receive_data(data)
        parser.let_go(protocol)
        return weakref.ref(protocol)

    gc.disable()
    try:
        assert use()() is None
    finally:
        gc.enable()
