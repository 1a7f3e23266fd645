"""Messages as bytes, and as secrets."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from channels_redis.serializers import registry
from hypothesis import given
from hypothesis import strategies as st

from shardlayer.core.exceptions import ConfigurationError, UndecodableMessage
from shardlayer.core.serializers import FORMATS, Serializer

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False),
    st.text(),
)


def nested(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return messages with lists and dictionaries of these, a few levels deep."""
    values = st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=8,
    )
    return st.dictionaries(st.text(), values, max_size=4)


@given(nested(scalars | st.binary()))
def test_message_survives_msgpack(message: dict[str, Any]) -> None:
    """Everything that the specification lets a message hold comes back equal."""
    serializer = Serializer()
    assert serializer.loads(serializer.dumps(message)) == message


@given(nested(scalars))
def test_message_survives_json_and_encryption(message: dict[str, Any]) -> None:
    """The same without bytes, encrypted."""
    serializer = Serializer("json", ["secret"])
    assert serializer.loads(serializer.dumps(message)) == message


@pytest.mark.parametrize("format", FORMATS)
def test_messages_are_read_as_channels_redis_writes_them(format: str) -> None:
    """The formats are those of channels_redis, encrypted with the same keys too."""
    theirs = registry.get_serializer(format, symmetric_encryption_keys=["key"])
    message = {"type": "x", "list": [1, None, "ü"]}
    assert Serializer(format, ["key"]).loads(theirs.serialize(message)) == message
    assert theirs.deserialize(Serializer(format, ["key"]).dumps(message)) == message


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    ("message", "path"),
    [
        ({"type": "x", "a": {"b": [0, date(2026, 1, 1)]}}, r"message\['a'\]\['b'\]\[1\] \(date\)"),
        ({"type": "x", "set": {1}}, r"message\['set'\] \(set\)"),
    ],
)
def test_what_can_not_be_sent_is_named(format: str, message: dict[str, Any], path: str) -> None:
    """The error leads to the value inside the message."""
    with pytest.raises(TypeError, match=path):
        Serializer(format).dumps(message)


def test_too_large_integer_is_named() -> None:
    """msgpack has integers of 64 bits."""
    with pytest.raises(TypeError, match=r"message\['n'\] \(int\)"):
        Serializer().dumps({"n": 2**70})


def test_endless_message_is_a_type_error() -> None:
    """A message that holds itself is refused."""
    message: dict[str, Any] = {}
    message["self"] = message
    with pytest.raises(TypeError, match="can't be sent"):
        Serializer().dumps(message)


def test_keys_can_be_changed() -> None:
    """The first key encrypts, all decrypt; without the right key nothing is read."""
    old, both, new = (Serializer(keys=keys) for keys in (["a"], ["b", "a"], ["b"]))
    message = {"type": "x"}
    assert both.loads(old.dumps(message)) == message
    assert new.loads(both.dumps(message)) == message
    with pytest.raises(UndecodableMessage):
        new.loads(old.dumps(message))


@pytest.mark.parametrize("garbage", [b"", b"\xc1", b"\x91\x01", b"\x01"])
def test_garbage_is_undecodable(garbage: bytes) -> None:
    """What is no message raises one error, whatever the decoder thinks of it."""
    with pytest.raises(UndecodableMessage):
        Serializer().loads(garbage)


def test_bad_settings_are_named() -> None:
    """An unknown format and a key that is no list say so."""
    with pytest.raises(ConfigurationError, match=r"'yaml'.*msgpack, json"):
        Serializer("yaml")
    with pytest.raises(ConfigurationError, match="a list"):
        Serializer(keys="secret")
