"""Frames to commands."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime.clients.protocol.commands import (
    Command,
    Connect,
    History,
    Ping,
    ProtocolError,
    Publish,
    Refused,
    Subscribe,
    Unsubscribe,
    Wanted,
)
from realtime.clients.protocol.parsing import MAX_ID, MAX_KEY, parse, subscribe_to
from shardlayer import Position

LIMIT = 64 * 1024

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(min_value=-(2**63), max_value=2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def failure(text: str, *, limit: int = LIMIT) -> ProtocolError:
    """Return the error of a frame that has one."""
    with pytest.raises(ProtocolError) as caught:
        parse(text, limit=limit)
    return caught.value


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ('{"id":1,"connect":{"token":"t"}}', Connect(id=1, token="t")),
        ('{"id":1,"connect":{}}', Connect(id=1, token=None)),
        (
            '{"id":2,"subscribe":{"room":"a"}}',
            Subscribe(id=2, rooms=(Wanted(room="a"),), many=False),
        ),
        (
            '{"id":2,"subscribe":{"room":"a","offset":42,"epoch":"k3"}}',
            Subscribe(
                id=2,
                rooms=(Wanted(room="a", since=Position(offset=42, epoch="k3")),),
                many=False,
            ),
        ),
        (
            '{"id":2,"subscribe":[{"room":"a"},{"room":"b","offset":0,"epoch":""}]}',
            Subscribe(
                id=2,
                rooms=(Wanted(room="a"), Wanted(room="b", since=Position(offset=0, epoch=""))),
                many=True,
            ),
        ),
        ('{"id":3,"unsubscribe":{"room":"a"}}', Unsubscribe(id=3, room="a")),
        (
            '{"publish":{"room":"a","data":{"x": 1}},"id":4}',
            Publish(id=4, room="a", data=b'{"x":1}'),
        ),
        ('{"id":4,"publish":{"room":"a","data":null}}', Publish(id=4, room="a", data=b"null")),
        (
            '{"id":4,"publish":{"room":"a","data":1,"key":"k"}}',
            Publish(id=4, room="a", data=b"1", key="k"),
        ),
        (
            f'{{"id":4,"publish":{{"room":"a","data":1,"key":"{"ä" * MAX_KEY}"}}}}',
            Publish(id=4, room="a", data=b"1", key="ä" * MAX_KEY),
        ),
        ('{"id":5,"history":{"room":"a"}}', History(id=5, room="a")),
        ('{"id":5,"history":{"room":"a","limit":50}}', History(id=5, room="a", limit=50)),
        (f'{{"id":{MAX_ID},"ping":{{}}}}', Ping(id=MAX_ID)),
    ],
)
def test_commands(text: str, command: object) -> None:
    """Each command of the protocol is read."""
    assert parse(text, limit=LIMIT) == command


@pytest.mark.parametrize(
    "text", ["", "{", "nonsense", '{"id":1,"ping":NaN}', '{"id":1,"publish":"\\ud800"}', "\x00"]
)
def test_what_is_not_json(text: str) -> None:
    """JSON as the RFC has it: no NaN, no half characters; the id can't be known."""
    error = failure(text)
    assert (error.code, error.id) == ("bad_json", None)


@pytest.mark.parametrize(
    "text",
    ["1", "[]", "null", '"x"', "{}", '{"ping":{}}']
    + [
        f'{{"id":{id},"ping":{{}}}}'
        for id in ("0", "-1", "1.0", "true", "null", '"1"', str(MAX_ID + 1), "1e400")
    ],
)
def test_without_an_id(text: str) -> None:
    """A frame without a usable id is answered with id null."""
    error = failure(text)
    assert error.code in ("bad_request", "bad_json")
    assert error.id is None


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("", "bad_request"),
        (',"ping":{},"connect":{}', "bad_request"),
        (',"dance":{}', "unknown_command"),
        (f',"{"d" * 500}":{{}}', "unknown_command"),
        (',"connect":1', "bad_request"),
        (',"connect":{"token":1}', "bad_token"),
        (',"subscribe":"a"', "bad_request"),
        (',"subscribe":{}', "bad_room"),
        (',"subscribe":{"room":"a b"}', "bad_room"),
        (',"subscribe":{"room":"a","offset":1}', "bad_request"),
        (',"subscribe":{"room":"a","epoch":"e"}', "bad_request"),
        (',"subscribe":{"room":"a","offset":-1,"epoch":"e"}', "bad_request"),
        (',"subscribe":{"room":"a","offset":true,"epoch":"e"}', "bad_request"),
        (',"subscribe":{"room":"a","offset":1,"epoch":1}', "bad_request"),
        (',"subscribe":{"room":"a","offset":1,"epoch":""}', "bad_request"),
        (f',"subscribe":{{"room":"a","offset":1,"epoch":"{"e" * 65}"}}', "bad_request"),
        (',"subscribe":[]', "bad_request"),
        (',"subscribe":["a"]', "bad_request"),
        (',"unsubscribe":{"room":1}', "bad_room"),
        (',"publish":{"room":"a"}', "bad_request"),
        (',"publish":{"data":1}', "bad_room"),
        (',"publish":{"room":"a","data":1,"key":""}', "bad_request"),
        (',"publish":{"room":"a","data":1,"key":1}', "bad_request"),
        (f',"publish":{{"room":"a","data":1,"key":"{"k" * (MAX_KEY + 1)}"}}', "bad_request"),
        (',"history":"a"', "bad_request"),
        (',"history":{}', "bad_room"),
        (',"history":{"room":"a","limit":0}', "bad_request"),
        (',"history":{"room":"a","limit":true}', "bad_request"),
        (',"history":{"room":"a","limit":"50"}', "bad_request"),
        (',"publish":{"room":"a","data":' + "[" * 500 + "]" * 500 + "}", "bad_request"),
    ],
)
def test_bad_commands_keep_their_id(body: str, code: str) -> None:
    """What has an id is answered with it, and with a code that says what is wrong."""
    error = failure(f'{{"id":7{body}}}')
    assert (error.code, error.id) == (code, 7)
    assert error.message
    assert len(error.message) < 300


def test_one_bad_room_of_a_list() -> None:
    """A bad room of a list is refused by itself, named if it can be."""
    command = parse(
        '{"id":1,"subscribe":[{"room":"a"},{"room":"ä"},{"room":5},{"room":"a"}]}', limit=LIMIT
    )
    assert isinstance(command, Subscribe)
    assert command.rooms[0] == Wanted(room="a")
    refused = [item for item in command.rooms if isinstance(item, Refused)]
    assert [(item.room, item.error.code) for item in refused] == [
        ("ä", "bad_room"),
        ("", "bad_room"),
        ("a", "bad_request"),
    ]


def test_rooms_of_a_url() -> None:
    """The URL's rooms are a list with id 0."""
    assert subscribe_to(["a", "b"]) == Subscribe(
        id=0, rooms=(Wanted(room="a"), Wanted(room="b")), many=True
    )


def test_data_is_marshalled_again() -> None:
    """Of doubled keys the last counts, and white space goes."""
    command = parse('{"id":1,"publish":{"room":"a","data":{"x":1, "x" : 2}}}', limit=LIMIT)
    assert command == Publish(id=1, room="a", data=b'{"x":2}')


@pytest.mark.parametrize("letter", ["x", "ä", "€", "😀"])
def test_limit_counts_bytes(letter: str) -> None:
    """The limit is one of UTF-8 bytes, to the byte."""
    text = f'{{"id":1,"ping":"{letter * 50}"}}'
    size = len(text.encode())
    assert parse(text, limit=size) == Ping(id=1)
    error = failure(text, limit=size - 1)
    assert (error.code, error.id) == ("too_large", None)


@settings(max_examples=50)
@given(JSON)
def test_any_json_is_a_command_or_an_error(value: Any) -> None:
    """Whatever JSON comes, nothing but ProtocolError is raised."""
    text = orjson.dumps(value).decode()
    with pytest.raises(ProtocolError):
        parse(text, limit=LIMIT)


@settings(max_examples=50)
@given(st.sampled_from(["connect", "subscribe", "unsubscribe", "publish", "history", "ping"]), JSON)
def test_any_body_is_a_command_or_an_error(name: str, body: Any) -> None:
    """Whatever a command's body is, nothing but ProtocolError is raised, and with the id."""
    text = orjson.dumps({"id": 9, name: body}).decode()
    answer: Command | ProtocolError
    try:
        answer = parse(text, limit=LIMIT)
    except ProtocolError as error:
        answer = error
    assert answer.id == 9


@settings(max_examples=50)
@given(st.text())
def test_any_text_is_a_command_or_an_error(text: str) -> None:
    """Whatever text comes, nothing but ProtocolError is raised."""
    with pytest.raises(ProtocolError):
        parse(text, limit=LIMIT)


@settings(max_examples=50)
@given(JSON)
def test_published_data_stays_what_it_is(value: Any) -> None:
    """Data that goes through a publish command is the same JSON value."""
    frame = orjson.dumps({"id": 1, "publish": {"room": "a", "data": value}})
    command = parse(frame.decode(), limit=10**6)
    assert isinstance(command, Publish)
    assert orjson.loads(command.data) == value
