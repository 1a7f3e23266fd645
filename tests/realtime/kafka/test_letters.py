"""Dead letters as records."""

from __future__ import annotations

from typing import Any

import pytest
from aiokafka.structs import ConsumerRecord

from realtime.kafka.deadletters import ADDED, MAX_ERROR, Letter
from realtime.kafka.routing.bad_records import BadRecord


def record(**changes: Any) -> ConsumerRecord:
    """Return a record as aiokafka has it."""
    values: dict[str, Any] = {
        **{"topic": "events", "partition": 3, "offset": 70, "key": b"k", "value": b"\xff{"},
        **{"headers": (("room", b"no room"), ("error", b"its own"))},
        **{"timestamp": 0, "timestamp_type": 0, "checksum": None},
        **{"serialized_key_size": 1, "serialized_value_size": 2},
    }
    return ConsumerRecord(**values | changes)


def test_letter_keeps_the_record() -> None:
    """Key, payload and headers are as they came; what was added says why and where."""
    letter = Letter.about(record(), BadRecord("not JSON"))
    headers = letter.all_headers()
    assert headers[:2] == [("room", b"no room"), ("error", b"its own")]
    assert headers[2:] == [
        *(("error", b"not JSON"), ("topic", b"events")),
        *(("partition", b"3"), ("offset", b"70")),
    ]
    written = record(topic="events.dlq", offset=0, headers=tuple(headers))
    assert Letter.read(written) == letter


@pytest.mark.parametrize(
    "headers",
    [
        (),
        (("room", b"a"),),
        tuple((name, b"x") for name in ADDED),  # numbers that are none
    ],
)
def test_what_is_no_letter(headers: tuple[tuple[str, bytes], ...]) -> None:
    """A record that somebody else wrote into the topic is told apart."""
    with pytest.raises(ValueError):  # noqa: PT011 (what it says differs)
        Letter.read(record(headers=headers))


def test_error_is_cut() -> None:
    """What a route raises may be long; a header is not."""
    letter = Letter.about(record(), BadRecord("x" * 10_000))
    assert len(letter.error) == MAX_ERROR
