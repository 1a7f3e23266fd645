"""From frames to messages; the Autobahn cases 5 and 6 test the same through a socket."""

from __future__ import annotations

import pytest
from websockets.frames import Frame, Opcode

from shardlayer.server.messages import MessageReader


def test_whole_frames() -> None:
    """A frame with FIN is a message of its kind."""
    reader = MessageReader()
    assert reader.read(Frame(Opcode.TEXT, "é".encode())) == {
        "type": "websocket.receive",
        "text": "é",
    }
    assert reader.read(Frame(Opcode.BINARY, b"\xff")) == {
        "type": "websocket.receive",
        "bytes": b"\xff",
    }
    assert reader.read(Frame(Opcode.PING, b"")) is None


def test_fragments() -> None:
    """Fragments are joined, whatever control frames come between them."""
    reader = MessageReader()
    assert reader.read(Frame(Opcode.TEXT, b"\xc3", fin=False)) is None
    assert reader.read(Frame(Opcode.PONG, b"")) is None
    assert reader.read(Frame(Opcode.CONT, b"\xa9", fin=False)) is None
    assert reader.read(Frame(Opcode.CONT, b"!")) == {"type": "websocket.receive", "text": "é!"}


def test_invalid_text_is_found_in_its_fragment() -> None:
    """The check doesn't wait for the last fragment."""
    reader = MessageReader()
    reader.decode(Frame(Opcode.TEXT, b"\xf4", fin=False))
    with pytest.raises(UnicodeDecodeError):
        reader.decode(Frame(Opcode.CONT, b"\x90", fin=False))


def test_binary_fragments_are_not_checked() -> None:
    """Only text must be UTF-8."""
    reader = MessageReader()
    reader.decode(Frame(Opcode.BINARY, b"\xff", fin=False))
    reader.decode(Frame(Opcode.CONT, b"\xff"))
