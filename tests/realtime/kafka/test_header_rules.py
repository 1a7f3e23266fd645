"""Where records go."""

from __future__ import annotations

import pytest

from realtime.kafka.routing.header_rules import is_announcement, route
from tests.realtime.kafka.records import FakeRecord, with_room


@pytest.mark.parametrize(
    ("record", "rooms"),
    [
        (with_room(b"a"), ["a"]),
        (with_room(b"a", key=b"k"), ["a"]),
        (with_room(b"a", b"b"), ["a", "b"]),
        (FakeRecord(key=b"k"), ["k"]),
        (FakeRecord(key=b"k", headers=(("other", b"x"),)), ["k"]),
        (FakeRecord(), []),
        (FakeRecord(key=b""), []),
    ],
)
def test_route(record: FakeRecord, rooms: list[str]) -> None:
    """The headers `room` count, else the key."""
    assert route(record) == rooms


@pytest.mark.parametrize("kind", [b"system-announcement", b"maintenance-notify"])
def test_kinds_for_everybody(kind: bytes) -> None:
    """A record of these kinds goes to all clients."""
    assert is_announcement(FakeRecord(headers=(("kind", kind),)))


def test_other_kinds_mean_nothing() -> None:
    """A header `kind` may say what it likes otherwise."""
    assert not is_announcement(FakeRecord(headers=(("room", b"a"), ("kind", b"order"))))
    assert not is_announcement(FakeRecord())
