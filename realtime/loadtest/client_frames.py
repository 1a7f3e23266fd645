"""As much of RFC 6455 as a client needs that only counts; pure."""

from __future__ import annotations

TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA

COMPRESSED = 0x40  # RSV1, as permessage-deflate has it

_FIN = 0x80
_MASKED = 0x80
_SHORT, _LONGEST = 125, 65_535  # bytes whose number one byte holds, and two
_NO_MASK = b"\0\0\0\0"


class UnexpectedFrame(ValueError):
    """The server sent what none of the peers should."""


def masked_frame(opcode: int, payload: bytes) -> bytes:
    """Return one frame as a client sends it, for a payload of at most 65,535 bytes.

    The masking key is zero: legal for a server to receive, and free for us to apply.
    """
    if len(payload) > _LONGEST:
        raise ValueError("such clients send short frames only")
    if len(payload) > _SHORT:
        length = bytes((_MASKED | 126,)) + len(payload).to_bytes(2)
    else:
        length = bytes((_MASKED | len(payload),))
    return bytes((_FIN | opcode,)) + length + _NO_MASK + payload


def split_frames(
    buffer: bytearray, end: int, *, compressed: bool = False
) -> tuple[list[tuple[int, int, int]], int]:
    """Return the whole frames in `buffer[:end]`, and how many bytes they take.

    Each frame is (opcode, start of the payload, end of the payload). Bytes after the last whole
    frame belong to one that has not arrived in full. With `compressed`, the opcode of a compressed
    message has the bit COMPRESSED.

    Raises:
        UnexpectedFrame: A frame is masked, compressed or a fragment.
    """
    frames = []
    at = 0
    while end - at >= 2:
        first = buffer[at]
        if first & 0xF0 != _FIN and not (compressed and first & 0xF0 == _FIN | COMPRESSED):
            raise UnexpectedFrame(f"first byte {first:#04x}: a fragment, or an extension is in use")
        length = buffer[at + 1]
        start = at + 2
        if length == 126:
            start = at + 4
            if start > end:
                break
            length = buffer[at + 2] << 8 | buffer[at + 3]
        elif length == 127:
            start = at + 10
            if start > end:
                break
            length = int.from_bytes(buffer[at + 2 : start])
        elif length & _MASKED:
            raise UnexpectedFrame("a server must not mask its frames (RFC 6455, 5.1)")
        stop = start + length
        if stop > end:
            break
        frames.append((first & 0x4F, start, stop))
        at = stop
    return frames, at
