"""Messages as events, and the ids that say where a client is."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.event_streams.event_text import (
    close_event,
    data_lines,
    events_of,
    format_positions,
    parse_positions,
    subscribed_rooms,
)
from shardlayer import BEGINNING, Broadcast, Position
from tests.realtime.event_streams.stream import read_event

positions = st.builds(
    Position,
    offset=st.integers(0, 2**53 - 1),
    epoch=st.text("0123456789abcdefghijklmnopqrstuvwxyzABC_-", min_size=1, max_size=64),
)


@given(st.lists(st.one_of(st.none(), st.just(BEGINNING), positions), min_size=1, max_size=20))
def test_an_id_says_what_it_was_made_of(there: list[Position | None]) -> None:
    """There and back."""
    assert parse_positions(format_positions(there), len(there)) == there


@pytest.mark.parametrize(
    "text",
    [
        *("", "41", "41.,-", "-,1.", "41.a b", "-1.a", "41.a,", ",", f"{2**53}.a", "41.a,-,-"),
        *("1.a\n", "x" * 100_000),
    ],
)
def test_what_is_no_id_counts_as_none(text: str) -> None:
    """It was the server's, but anybody may have written it."""
    assert parse_positions(text, 2) == [None, None]


@given(st.text(), st.text(), st.integers())
def test_whatever_is_sent_back_is_read(text: str, more: str, rooms: int) -> None:
    """No text raises."""
    assert len(parse_positions(f"{text},{more}", rooms % 5)) == rooms % 5


@pytest.mark.parametrize("indent", [None, 2])
def test_json_with_line_ends_stays_one_event(indent: int | None) -> None:
    """Each line is data; JSON has no line ends within a value."""
    told = {"room": "a", "data": [1, {"b": "\n\r"}]}
    for end in ("\n", "\r\n", "\r"):
        text = json.dumps(told, indent=indent).replace("\n", end)
        lines = data_lines(text.encode()).decode()
        assert lines.endswith("\n\n")
        assert "\n\n" not in lines[:-2]
        assert read_event(lines[:-2]).data == told


def test_events_know_what_they_change() -> None:
    """A publication and a reset say where the client is; what has no place says nothing."""
    texts = [
        b'{"room":"a","offset":5,"data":1}',
        b'{"room":"a","reset":{"offset":9,"epoch":"e"}}',
        b'{"room":"a","presence":{"people":1}}',
        b'{"announcement":1}',
    ]
    events = events_of(Broadcast(texts, [5, 0, 0, 0]))
    assert [event[1:] for event in events] == [
        ("a", 5, ""), ("a", 9, "e"), ("", 0, ""), ("", 0, ""),
    ]  # fmt: skip


def test_a_broadcast_is_made_into_events_once() -> None:
    """However many streams it goes to."""
    broadcast = Broadcast([b'{"announcement":1}'])
    assert events_of(broadcast) is events_of(broadcast)


def test_the_answer_for_the_rooms_is_recognised() -> None:
    """And nothing else is read as JSON."""
    assert subscribed_rooms(b'{"id":0,"subscribed":[{"room":"a"}]}') == [{"room": "a"}]
    assert subscribed_rooms(b'{"id":0,"error":{}}') == ()
    assert subscribed_rooms(b'{"room":"a"}') == ()


def test_the_last_event_says_when_to_come_back() -> None:
    """With the words of a WebSocket's close."""
    event = read_event(close_event(4008, 'a "reason"', 1500).decode().removesuffix("\n\n"))
    assert (event.type, event.retry) == ("close", 1500)
    assert event.data == {"code": 4008, "reason": 'a "reason"'}
