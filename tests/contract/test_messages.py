"""What a message may be, and what becomes of it on its way ("Messages"), on every place."""

from __future__ import annotations

import asyncio
import copy
import datetime
import itertools
import json
import logging
from typing import Any

import pytest

from shardlayer.core.exceptions import MessageTooLarge
from shardlayer.core.serializers import Serializer
from shardlayer.layer import ShardedChannelLayer
from tests.contract.conftest import MakeLayer
from tests.contract.places import Place
from tests.waiting import PATIENCE

MEBIBYTE = 1_048_576

EVERYTHING: dict[str, Any] = {
    "type": "test",
    "text": "ü\u2028\x00",
    "int": [0, -1, 2**53, 2**63 - 1, -(2**63)],
    "float": [0.5, -1e300],
    "flags": [True, False, None],
    "nested": {"list": [[], [{}]], "": {"deep": {"er": 1}}},
}


async def receive(layer: ShardedChannelLayer, channel: str) -> dict[str, Any]:
    return await asyncio.wait_for(layer.receive(channel), PATIENCE)


class CountingSerializer(Serializer):
    """Counts how often it encodes and decodes."""

    dumped = loaded = 0

    def encode(self, message: dict[str, Any]) -> bytes:
        self.dumped += 1
        return super().encode(message)

    def loads(self, data: bytes) -> dict[str, Any]:
        self.loaded += 1
        return super().loads(data)


@pytest.mark.parametrize("serializer_format", ["msgpack", "json"])
async def test_every_type_arrives(make_layer: MakeLayer, serializer_format: str) -> None:
    """All types of the specification, in another process; bytes only where the format has them."""
    here, there = (make_layer(serializer_format=serializer_format) for _ in range(2))
    message = dict(EVERYTHING)
    if serializer_format == "msgpack":
        message["bytes"] = b"\x00\xff"
    await here.send("somewhere", message)
    assert await receive(there, "somewhere") == message
    await here.send("somewhere", {"type": "x", "tuple": (1, 2)})
    assert (await receive(there, "somewhere"))["tuple"] == [1, 2]


@pytest.mark.parametrize("keys", [None, ["secret"]])
async def test_mebibyte_of_json_arrives(make_layer: MakeLayer, keys: list[str] | None) -> None:
    """A message that takes 1 MiB as JSON passes, sent or through a group, encrypted or not."""
    layer = make_layer(symmetric_encryption_keys=keys)
    message = {"type": "x", "text": ""}
    message["text"] = "x" * (MEBIBYTE - len(json.dumps(message)))
    assert len(json.dumps(message)) == MEBIBYTE
    channel = await layer.new_channel()
    await layer.group_add("g", channel)
    await layer.send(channel, message)
    await layer.group_send("g", message)
    assert [await receive(layer, channel) for _ in range(2)] == [message, message]


@pytest.mark.parametrize("serializer_format", ["msgpack", "json"])
@pytest.mark.parametrize(
    "content", [[0.5] * 262_000, "ü" * 524_000], ids=["numbers", "letters that JSON may escape"]
)
async def test_mebibyte_of_json_arrives_that_is_encoded_as_more(
    make_layer: MakeLayer, serializer_format: str, content: object
) -> None:
    """The limit is for what a message takes as JSON, though msgpack writes a number in 9 bytes."""
    layer = make_layer(serializer_format=serializer_format)
    message = {"type": "x", "content": content}
    text = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()
    assert MEBIBYTE - 1_000 < len(text) <= MEBIBYTE
    await layer.send("tasks", message)
    assert await receive(layer, "tasks") == message


async def test_larger_message_is_refused(make_layer: MakeLayer) -> None:
    """MessageTooLarge names size and limit, before anything is sent."""
    layer = make_layer()
    for content in ("x" * (MEBIBYTE + 100), [0.5] * 263_000, b"x" * MEBIBYTE, [0.5] * MEBIBYTE):
        for send in (layer.send, layer.group_send):
            with pytest.raises(MessageTooLarge, match="limit is 1,048,576 bytes") as caught:
                await send("tasks", {"type": "x", "content": content})
            assert caught.value.size > caught.value.limit == MEBIBYTE
    await layer.send("tasks", {"type": "end"})
    assert await receive(layer, "tasks") == {"type": "end"}


@pytest.mark.parametrize(
    ("message", "path"),
    [
        (["no dict"], "dict, not list"),
        ({"type": "x", "at": {"when": [1, datetime.date(2024, 1, 1)]}}, r"\['at'\]\['when'\]\[1\]"),
        ({"type": "x", "big": 2**64}, r"\['big'\]"),
        ({"type": "x", "set": {1}}, r"\['set'\]"),
    ],
)
async def test_what_cant_be_encoded_is_named(
    make_layer: MakeLayer, message: Any, path: str
) -> None:
    """TypeError with the path inside the message, and nothing is sent to anyone."""
    layer = make_layer()
    await layer.group_add("g", "tasks")
    for send, name in ((layer.send, "tasks"), (layer.group_send, "g")):
        with pytest.raises(TypeError, match=path):
            await send(name, message)
    await layer.send("tasks", {"type": "end"})
    assert await receive(layer, "tasks") == {"type": "end"}


async def test_each_receiver_has_its_own_copy(make_layer: MakeLayer) -> None:
    """Receivers of one process don't share what they change, nor is the sender's dict changed."""
    layer = make_layer()
    channels = [await layer.new_channel() for _ in range(3)]
    for channel in channels:
        await layer.group_add("g", channel)
    message: dict[str, Any] = {"type": "x", "list": [1], "dict": {"a": {}}}
    before = copy.deepcopy(message)
    await layer.group_send("g", message)
    await layer.send(channels[0], message)
    for channel in (*channels, channels[0]):
        received = await receive(layer, channel)
        assert received == before
        received["list"].append(2)
        received["dict"]["a"]["b"] = 1
    assert message == before


async def test_message_is_encoded_once(make_layer: MakeLayer) -> None:
    """However many members get it, of whichever kind; each decodes it for itself."""
    layer = make_layer()
    counting = layer._serializer = CountingSerializer()
    channels = [await layer.new_channel() for _ in range(20)] + ["normal.1", "normal.2"]
    for channel in channels:
        await layer.group_add("g", channel)
    await layer.group_send("g", {"type": "x"})
    assert counting.dumped == 1
    for channel in channels:
        await receive(layer, channel)
    assert (counting.dumped, counting.loaded) == (1, len(channels))


async def test_keys_can_be_changed_while_the_system_runs(make_layer: MakeLayer) -> None:
    """The first key encrypts and all decrypt, so that old and new processes understand each other.

    First every process learns the new key, then it comes first, then the old one goes.
    """
    steps = (["old"], ["old", b"new"], ["new", "old"], ["new"])
    layers = [make_layer(symmetric_encryption_keys=keys) for keys in steps]
    for before, after in itertools.pairwise(layers):
        for sender, receiver in ((before, after), (after, before)):
            await sender.send("tasks", EVERYTHING)
            assert await receive(receiver, "tasks") == EVERYTHING


async def test_what_cant_be_decrypted_is_dropped(
    make_layer: MakeLayer, caplog: pytest.LogCaptureFixture
) -> None:
    """Messages of a stranger's key, or of none, are counted, logged and never delivered."""
    layer, stranger, careless = (
        make_layer(symmetric_encryption_keys=keys) for keys in (["ours"], ["theirs"], None)
    )
    channel = await layer.new_channel()
    await layer.group_add("g", channel)
    with caplog.at_level(logging.ERROR, logger="shardlayer"):
        for sender in (stranger, careless):
            await sender.send(channel, {"type": "x", "secret": "no"})
            await sender.group_send("g", {"type": "x", "secret": "no"})
        await layer.send(channel, {"type": "end"})
        while (await receive(layer, channel)) != {"type": "end"}:
            pytest.fail("a stranger's message was delivered")
        await layer.group_send("g", {"type": "group end"})
        assert await receive(layer, channel) == {"type": "group end"}
    assert layer.stats()["undecodable_messages"] == 4
    assert channel in caplog.text
    assert "secret" not in caplog.text


async def test_layer_may_serialize_in_its_own_way(
    place: Place,
) -> None:
    """A subclass that overrides both methods decides what is stored and what is received."""

    class ShoutingLayer(ShardedChannelLayer):
        def serialize(self, message: dict[str, Any]) -> bytes:
            return super().serialize(message | {"text": message["text"].upper()})

        def deserialize(self, message: bytes) -> dict[str, Any]:
            received: dict[str, Any] = super().deserialize(message)
            return received | {"text": received["text"] + "!"}

    layer = ShoutingLayer(**place.config)
    channel = await layer.new_channel()
    await layer.group_add("g", channel)
    await layer.group_add("g", "normal")
    await layer.send(channel, {"type": "x", "text": "a"})
    await layer.group_send("g", {"type": "x", "text": "b"})
    assert {(await receive(layer, channel))["text"] for _ in range(2)} == {"A!", "B!"}
    assert (await receive(layer, "normal"))["text"] == "B!"
    arrived = asyncio.Event()
    reader = await layer.channel_reader(channel, arrived.set)
    await layer.group_send("g", {"type": "x", "text": "c"})
    await asyncio.wait_for(arrived.wait(), PATIENCE)
    assert reader.take() == {"type": "x", "text": "C!"}
    reader.close()
    await reader.wait_closed()
    data = layer.serialize({"type": "x", "text": "d"})
    assert isinstance(data, bytes)
    assert layer.deserialize(data) == {"type": "x", "text": "D!"}
    await layer.close()
