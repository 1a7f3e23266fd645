"""What clients see, and what is refused, is what json's defaults make of it."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import json
import math
import uuid
from collections import OrderedDict, defaultdict, namedtuple
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardlayer.consumers.json_text import dumps, loads


class Word(str):
    """A str that is more than a str, as Django's SafeString."""

    __slots__ = ()


class Count(int):
    """An int that says otherwise when printed."""

    def __str__(self) -> str:
        return "many"


class Color(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Kind(enum.StrEnum):
    GOOD = "good"


class Doubling(dict[str, int]):
    """A dict whose items are not what it holds."""

    def items(self) -> Any:
        return [(key, 2 * value) for key, value in super().items()]


Point = namedtuple("Point", "x y")


@dataclasses.dataclass
class Record:
    x: int = 1


DEEP: list[Any] = []
for _ in range(500):
    DEEP = [DEEP]

VALUES: dict[str, Any] = {
    "plain": {"type": "chat", "n": [1, 2.5, True, False, None, "x"], "deep": {"er": {}}},
    "none": None,
    "not ASCII": {"schlüssel": "wörd \u2028 \U0001f600 \x7f \x00"},
    "text that says null": ["null", "NaN"],
    "not a number": [math.nan],
    "infinite": {"a": math.inf, "b": -math.inf},
    "floats": [0.1, -0.0, 1e16, 1e-7, 5e-324, 1.7976931348623157e308, 1e22, 123456789.0],
    "64 bits": [2**63 - 1, -(2**63), 2**64 - 1],
    "past 64 bits": [2**64, -(2**63) - 1, 10**30],
    "keys": {1: "a", 2.5: "b", False: "c", None: "d", "e": "f"},
    "two keys alike": {1: "a", "1": "b"},
    "tuple": (1, (2, 3), []),
    "named tuple": Point(1, 2),
    "str of its own": [Word("word"), {Word("key"): Word("value")}],
    "int of its own": [Count(7)],
    "enums of JSON's types": [Level.HIGH, Kind.GOOD, {Kind.GOOD: Level.HIGH}],
    "dicts of their own": [OrderedDict(b=1, a=2), defaultdict(list, a=[1]), Doubling(a=1)],
    "lone surrogate": ["\ud800", {"\udfff": 1}],
    "deep": DEEP,
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES.keys())
def test_value_is_written_as_json_writes_it(value: Any) -> None:
    """A client reads the same value from our text as from json's."""
    ours, theirs = dumps(value), json.dumps(value)
    assert same(json.loads(ours), json.loads(theirs))
    assert keys(ours) == keys(theirs)


def same(one: Any, other: Any) -> bool:
    """Compare values with their types, NaN and -0.0 included."""
    return repr(one) == repr(other)


def keys(text: str) -> list[list[str]]:
    """Return the keys of all objects in JSON text, in order, doubled ones included."""
    found: list[list[str]] = []
    json.loads(text, object_pairs_hook=lambda pairs: found.append([key for key, _ in pairs]))
    return found


@pytest.mark.parametrize(
    "value",
    [
        uuid.UUID(int=1),
        datetime.datetime(2025, 1, 1, tzinfo=datetime.UTC),
        datetime.date(2025, 1, 1),
        datetime.time(1, 2),
        decimal.Decimal("1.5"),
        Record(),
        Color.RED,
        b"bytes",
        bytearray(b"bytes"),
        memoryview(b"bytes"),
        {1, 2},
        1j,
        ...,
        object(),
        int,
        orjson.Fragment(b"1"),
        {(1, 2): 3},
        {uuid.UUID(int=1): 1},
        {b"key": 1},
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize(
    "wrap", [lambda value: value, lambda value: {"a": [value, None]}], ids=["bare", "inside"]
)
def test_what_json_refuses_is_refused(value: Any, wrap: Any) -> None:
    """What json has no form for raises json's own TypeError, wherever it stands."""
    with pytest.raises(TypeError) as theirs:
        json.dumps(wrap(value))
    with pytest.raises(TypeError) as ours:
        dumps(wrap(value))
    assert str(ours.value) == str(theirs.value)


def test_value_that_holds_itself_is_refused() -> None:
    """A circle is a ValueError, as json's."""
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(ValueError, match="Circular"):
        dumps(circle)


def test_text_is_compact() -> None:
    """No spaces, and no escapes that need not be."""
    assert dumps({"a": [1, "ü"]}) == '{"a":[1,"ü"]}'
    assert dumps({"a": [1, 2**64]}) == '{"a":[1,18446744073709551616]}'


TEXTS = [
    '{"a": [1, 2.5, true, false, null, "x\\u00fc\\n"], "b": {}}',
    " \n\t\r[1] ",
    "NaN",
    '{"a": Infinity, "b": [-Infinity]}',
    "1e400",
    "-1e400",
    "1e-400",
    "-0",
    "-0.0",
    "1E5",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "-9223372036854775809",
    "18446744073709551615",
    "18446744073709551616",
    "[1000000000000000000000000000000]",
    "0.12345678901234567890123456789",
    "1" * 400,
    '"12345678901234567890"',
    '"\\ud800"',
    '"\\ud83d\\ude00"',
    '"\ud800"',
    '"\U0001f600"',
    '"\\u0000"',
    '{"a": 1, "a": 2}',
    "[" * 500 + "]" * 500,
]


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: ascii(text[:30]))
def test_text_is_read_as_json_reads_it(text: str) -> None:
    """Values and their types are json's."""
    assert same(loads(text), json.loads(text))


@pytest.mark.parametrize(
    "text", ["", " ", "{", "[1,]", "'a'", "nan", "01", "1.", "\ufeff1", '"\x01"', "1 2", "\xa01"]
)
def test_what_is_no_json_is_refused(text: str) -> None:
    """Broken text raises json's own error, message and place included."""
    with pytest.raises(json.JSONDecodeError) as theirs:
        json.loads(text)
    with pytest.raises(json.JSONDecodeError) as ours:
        loads(text)
    assert type(ours.value) is json.JSONDecodeError
    assert str(ours.value) == str(theirs.value)


def test_bytes_are_read_as_json_reads_them() -> None:
    """An override may pass bytes on, in the encodings that json knows."""
    text: Any = '{"a": "ü"}'.encode("utf-16")
    assert loads(text) == {"a": "ü"}


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters())
KEYS = st.text(st.characters()) | st.integers() | st.floats() | st.booleans() | st.none()
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(KEYS, inner, max_size=5)
    ),
    max_leaves=15,
)


@given(JSON)
def test_any_value_is_written_as_json_writes_it(value: Any) -> None:
    """Whatever json takes, a client reads the same from our text."""
    ours, theirs = dumps(value), json.dumps(value)
    assert same(json.loads(ours), json.loads(theirs))
    assert keys(ours) == keys(theirs)


def outcome(read: Callable[[str], Any], text: str) -> str:
    """Return what becomes of text: the value that is read, or the error."""
    try:
        return repr(read(text))
    except json.JSONDecodeError as error:
        return f"{type(error).__name__}: {error}"


@given(JSON.map(json.dumps) | st.text() | st.text('{}[]",:0123456789.eE+-ntrufalsNI \\'))
def test_any_text_is_read_as_json_reads_it(text: str) -> None:
    """Whatever text a client sends, it gives the same value or the same error."""
    assert outcome(loads, text) == outcome(json.loads, text)
