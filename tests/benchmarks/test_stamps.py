from __future__ import annotations

import json

import pytest

from benchmarks.stamps import SHORTEST, read_stamp, stamped


@pytest.mark.parametrize("size", [SHORTEST, 250, 4096])
def test_a_message_has_the_size_asked_for_and_is_json(size: int) -> None:
    """Its bytes are counted exactly, whatever the numbers in it."""
    message = stamped(7, 123_456_789, size)
    assert len(message) == size
    assert json.loads(message)["stamp"] == "~0000000007@000000000123456789"


def test_a_stamp_is_found_in_any_envelope() -> None:
    """json.dumps adds spaces and Socket.IO an array: the stamp stays one string."""
    text = '42["message",' + json.dumps(json.loads(stamped(8, 99, 250))) + "]"
    assert read_stamp(bytearray(text.encode()), 0, len(text)) == (8, 99)


def test_what_has_no_stamp_has_none() -> None:
    """Replies and pings are not counted as deliveries."""
    assert read_stamp(bytearray(b'{"id":0,"subscribed":[]}'), 0, 24) is None


def test_a_stamp_outside_the_range_is_not_seen() -> None:
    """The buffer is shared: what follows belongs to another frame."""
    buffer = bytearray(b"{}" + stamped(1, 2, SHORTEST))
    assert read_stamp(buffer, 0, 2) is None


def test_a_message_too_short_for_its_stamp_is_refused() -> None:
    """The limit is in the error."""
    with pytest.raises(ValueError, match=str(SHORTEST)):
        stamped(1, 2, SHORTEST - 1)
