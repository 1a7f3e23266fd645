"""The messages that are sent: JSON of a given length that carries its number and its time.

The stamp stands in one JSON string of digits and two signs, so it survives every peer's encoding
unchanged (json.dumps adds spaces, Socket.IO an envelope) and clients find it without parsing JSON.
"""

from __future__ import annotations

import struct

MARK = b"~"  # opens a stamp; in no peer's envelope
_NUMBER = 10  # digits
_TIME = 18  # digits; nanoseconds of the monotonic clock
STAMP_LENGTH = len(MARK) + _NUMBER + len("@") + _TIME

ACK = struct.Struct("=Q")  # how clients tell the publisher the number of a message that all have

_OPENING = b'{"stamp":"%b%010d@%018d","text":"'
_CLOSING = b'"}'
SHORTEST = len(_OPENING % (MARK, 0, 0)) + len(_CLOSING)  # bytes


def stamped(number: int, sent: int, size: int) -> bytes:
    """Return a JSON object of exactly `size` bytes.

    Args:
        number: The message's number, consecutive within a run.
        sent: When it is published, in nanoseconds of CLOCK_MONOTONIC, which all processes of a
            machine share.
        size: Bytes, at least SHORTEST.
    """
    opening = _OPENING % (MARK, number, sent)
    filler = size - len(opening) - len(_CLOSING)
    if filler < 0:
        raise ValueError(f"a stamped message has at least {SHORTEST} bytes")
    return opening + b"." * filler + _CLOSING


def read_stamp(buffer: bytearray, start: int, stop: int) -> tuple[int, int] | None:
    """Return the number and the time of the stamp in `buffer[start:stop]`, or None."""
    at = buffer.find(MARK, start, stop)
    if at < 0:
        return None
    clock = at + 1 + _NUMBER + 1
    return int(buffer[at + 1 : at + 1 + _NUMBER]), int(buffer[clock : clock + _TIME])
