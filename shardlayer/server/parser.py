"""What is asked of websockets' Sans-I/O protocol beside its documented methods.

The attributes have no underscore, but are in no document either, so they are looked at here alone.
Read in websockets 15.0 to 17.4; tests/server/test_parser.py fails when they change.
"""

from __future__ import annotations

from websockets.server import ServerProtocol


def is_within_message(frames: ServerProtocol) -> bool:
    """Say whether a message was begun that is not finished: a part of a frame, or fragments."""
    return frames.current_size is not None or bool(frames.reader.buffer)


def has_failed(frames: ServerProtocol) -> bool:
    """Say whether the client broke the protocol; false once `forget_failure` was called."""
    return frames.parser_exc is not None


def forget_failure(frames: ServerProtocol) -> None:
    """Let go of the parser's exception, whose traceback knows the frame that knows the protocol."""
    frames.parser_exc = None


def limit_messages(frames: ServerProtocol, size: int) -> None:
    """Take no message of more than `size` bytes from here on; a lower limit is kept."""
    known = frames.max_message_size
    frames.max_message_size = size if known is None else min(size, known)


def let_go(frames: ServerProtocol) -> None:
    """End a protocol that nobody will use: afterwards it is part of no reference cycle."""
    frames.parser.close()  # a generator that refers to the protocol, and the protocol to it
    frames.parser_exc = None
