"""What routes and payloads make a record a bad one."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat

import pytest

from realtime.kafka.routing.bad_records import BadRecord, failed, judged, payload_of
from tests.realtime.kafka.records import with_room

LIMIT = 100  # bytes
MOST = 5  # rooms


def rooms() -> Iterator[str]:
    """Yield what a generator may."""
    yield "a"
    yield "b"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (["a"], ["a"]),
        (("a", "b"), ["a", "b"]),
        (rooms(), ["a", "b"]),
        ({"a": 1}.keys(), ["a"]),
        (["b", "a", "b"], ["a", "b"]),
        ({*"dbca"}, ["a", "b", "c", "d"]),
        (map(str, range(MOST)), ["0", "1", "2", "3", "4"]),
    ],
)
def test_routes_may_return_any_iterable_of_texts(answer: object, expected: list[str]) -> None:
    """Each room counts once, and in an order that no process has of its own: that of texts."""
    assert list(judged(answer, most=MOST)) == expected


class Shy:
    """What can't be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ([], "no room"),
        (iter(()), "no room"),
        (None, "the route returned None, not a list of rooms"),
        (7, "the route returned 7, not a list"),
        ("news", "the route returned 'news', not a list"),
        (b"news", "the route returned b'news', not a list"),
        ({"news": 1}, "not a list"),
        (Shy(), "the route returned a Shy, not a list"),
        ([42], "42 can't name a room"),
        ([None], "None can't name a room"),
        ([["a"]], r"\['a'\] can't name a room"),
        ([b"a"], "b'a' can't name a room"),
        ([Shy()], "a Shy can't name a room"),
        (["no room"], "'no room' can't name a room"),
        (["a", "\ufffd"], "can't name"),
        (["realtime-control"], "'realtime-control' can't be published to. Only the workers"),
        (["a", "realtime-nodes"], "'realtime-nodes' can't be published to"),
        (["x" * 1_000_000], "can't name"),
        (["a"] * (MOST + 1), "names more than 5 rooms"),
        (repeat("a"), "names more than 5 rooms"),
    ],
)
def test_what_else_a_route_returns(answer: object, why: str) -> None:
    """It costs the record, and the letter says why in few words."""
    with pytest.raises(BadRecord, match=why) as caught:
        judged(answer, most=MOST)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("value", [b' {"a" : 1.0, "a": 2}\n', b"1", b'"%b"' % (b"x" * 98)])
def test_payload_is_published_as_it_came(value: bytes) -> None:
    """Not a byte of valid JSON is changed, up to the limit."""
    assert payload_of(with_room(b"a", value=value), limit=LIMIT) is value


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (None, "no payload"),
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"NaN", "not JSON"),
        (b'"\xff"', "not JSON"),
        (b'{}{"room":"b"}', "not JSON"),
        (b"[" * 100, "not JSON"),
        (b'"%b"' % (b"x" * 99), "101 bytes are over the limit of 100"),
        ("{}", "the payload is '{}', not bytes"),
    ],
)
def test_bad_payloads(value: bytes | None, why: str) -> None:
    """What can't be published says why, in few words."""
    with pytest.raises(BadRecord, match=why) as caught:
        payload_of(with_room(b"a", value=value), limit=LIMIT)
    assert len(str(caught.value)) < 300


def test_failing_route_is_a_bad_record() -> None:
    """What a route raised is in the letter, if it can be shown."""
    assert str(failed(KeyError("customer"))) == "the route failed: KeyError('customer')"
    assert len(str(failed(ValueError("x" * 10_000)))) < 300
