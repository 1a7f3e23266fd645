"""What each publication of a load test carries, so that clients can check and time it.

The stamp stands in one JSON string of digits and three signs, at the beginning of the data, whose
bytes the deployment hands on as they are. So clients find it without parsing JSON.
"""

from __future__ import annotations

MARK = b'{"stamp":"~'  # opens a stamp
_ROOM = 6  # digits
_NUMBER = 10  # digits
_TIME = 18  # digits; nanoseconds of the monotonic clock of the machine that publishes
_OPENING = b'%b%06d.%010d@%018d","text":"'
_CLOSING = b'"}'
SHORTEST = len(_OPENING % (MARK, 0, 0, 0)) + len(_CLOSING)  # bytes
MOST_ROOMS = 10**_ROOM

_ROOM_AT = len(MARK)
_NUMBER_AT = _ROOM_AT + _ROOM + 1
_TIME_AT = _NUMBER_AT + _NUMBER + 1
_END = _TIME_AT + _TIME


def stamped(room: int, number: int, sent: int, size: int) -> bytes:
    """Return a JSON object of `size` bytes, or of SHORTEST if that is more.

    Args:
        room: Which of the test's rooms it is for.
        number: Its number in that room, from 0.
        sent: When it is published, in nanoseconds of CLOCK_MONOTONIC.
        size: Bytes.
    """
    opening = _OPENING % (MARK, room, number, sent)
    return opening + b"." * (size - len(opening) - len(_CLOSING)) + _CLOSING


def read_stamp(text: bytes | bytearray, at: int) -> tuple[int, int, int]:
    """Return room, number and time of the stamp whose MARK stands at `at`."""
    return (
        int(text[at + _ROOM_AT : at + _NUMBER_AT - 1]),
        int(text[at + _NUMBER_AT : at + _TIME_AT - 1]),
        int(text[at + _TIME_AT : at + _END]),
    )
