"""Where records go."""

from __future__ import annotations

import pytest

from realtime.kafka.routing import EVERYBODY, BadRecord, publications, route
from tests.realtime.kafka.records import FakeRecord, with_room

LIMIT = 100  # bytes


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


def test_payload_is_published_as_it_came() -> None:
    """Not a byte of valid JSON is changed, for each of its rooms."""
    value = b' {"a" : 1.0, "a": 2}\n'
    record = with_room(b"a", b"b", value=value)
    assert publications(record, route, limit=LIMIT) == (["a", "b"], value)


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (FakeRecord(), "no room"),
        (with_room(b"no room"), "'no room' can't name a room"),
        (with_room(b"a", b"\xff"), "can't name"),
        (with_room(b"x" * 1000), "can't name"),
        (with_room(b"a", value=None), "no payload"),
        (with_room(b"a", value=b""), "not JSON"),
        (with_room(b"a", value=b"{"), "not JSON"),
        (with_room(b"a", value=b"NaN"), "not JSON"),
        (with_room(b"a", value=b'"\xff"'), "not JSON"),
        (with_room(b"a", value=b'{}{"room":"b"}'), "not JSON"),
        (with_room(b"a", value=b'"%b"' % (b"x" * 99)), "101 bytes are over the limit of 100"),
    ],
)
def test_bad_records(record: FakeRecord, why: str) -> None:
    """What can't be published says why, in few words."""
    with pytest.raises(BadRecord, match=why) as caught:
        publications(record, route, limit=LIMIT)
    assert len(str(caught.value)) < 300


def test_limit_is_inclusive() -> None:
    """A payload of exactly the limit is taken."""
    value = b'"%b"' % (b"x" * 98)
    assert publications(with_room(b"a", value=value), route, limit=LIMIT) == (["a"], value)


def test_own_route() -> None:
    """Another function may name the rooms."""
    record = FakeRecord(value=b"1")
    assert publications(record, lambda _: ["x"], limit=LIMIT) == (["x"], b"1")


@pytest.mark.parametrize("kind", [b"system-announcement", b"maintenance-notify"])
def test_kinds_for_everybody(kind: bytes) -> None:
    """A record of these kinds goes to all clients and needs no room; the route is not asked."""
    record = FakeRecord(headers=(("kind", kind),))
    rooms, _ = publications(record, lambda _: ["not a room"], limit=LIMIT)
    assert rooms == [EVERYBODY]


def test_other_kinds_mean_nothing() -> None:
    """A header `kind` may say what it likes otherwise."""
    record = FakeRecord(headers=(("room", b"a"), ("kind", b"order")))
    assert publications(record, route, limit=LIMIT) == (["a"], b"{}")


def test_failing_route_is_a_bad_record() -> None:
    """A route that raises costs the record that it raised for."""

    def fails(record: object) -> list[str]:
        raise KeyError("customer")

    with pytest.raises(BadRecord, match=r"the route failed: KeyError\('customer'\)"):
        publications(FakeRecord(), fails, limit=LIMIT)
