"""Decoders of a project, among the options of the pool's consumers."""

from __future__ import annotations

from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from realtime.kafka.brokers import Brokers
from realtime.kafka.deadletters import Letter
from realtime.kafka.letters.postbox import Postbox, Replayed
from realtime.kafka.reading.record_format import DecodedRecord, UnreadRecord
from shardlayer import ShardedChannelLayer
from tests.realtime.kafka.bad import records_in
from tests.realtime.kafka.pools import Pools
from tests.realtime.kafka.raw import Raw, batch_of
from tests.realtime.kafka.test_batches import record_set
from tests.waiting import PATIENCE, until

BAD = b"no json"


def decoded(data: bytes | None) -> Any:
    """Return a text, as a `key_deserializer` may."""
    return None if data is None else data.decode()


def wrapped(data: bytes | None) -> Any:
    """Return other bytes, as a `value_deserializer` may."""
    return None if data is None else b"[%b]" % data


def number(data: bytes | None) -> Any:
    """Return what has no length, of what is bad; else JSON in bytes."""
    return 4 if data == BAD else data


def test_record_keeps_what_came() -> None:
    """The route sees what the decoders made; the letter has the bytes."""
    data = batch_of([Raw(key=b"k", value=b"1"), Raw(value=None)])
    [record, empty] = record_set(data, decode_key=decoded, decode_value=wrapped)
    assert isinstance(record, DecodedRecord)
    assert (record.key, record.value) == ("k", b"[1]")
    letter = Letter.about(record, ValueError("why"))
    assert (letter.key, letter.value) == (b"k", b"1")
    letter = Letter.about(empty, ValueError("why"))
    assert (letter.key, letter.value) == (None, None)


def test_payload_that_is_not_bytes_costs_its_record() -> None:
    """What can't be published is not handed on; it has the bytes that came."""
    data = batch_of([Raw(value=b"0"), Raw(key=b"k", value=BAD), Raw(value=b"2")])
    first, bad, last = record_set(data, decode_key=decoded, decode_value=number)
    assert (first.value, last.value) == (b"0", b"2")
    assert isinstance(bad, UnreadRecord)
    assert bad.error == "the value_deserializer made int of the payload, not bytes"
    assert (bad.key, bad.value) == (b"k", BAD)


def test_records_without_decoders_are_as_small_as_before() -> None:
    """They have no place for what came: it is what they have."""
    [record] = record_set(batch_of([Raw(key=b"k", value=b"1")]))
    assert not hasattr(record, "__dict__")


@pytest.mark.kafka
async def test_bad_record_becomes_a_letter(
    brokers: Brokers, topic: str, redis_layer: ShardedChannelLayer, pools: Pools
) -> None:
    """The pool goes on behind it, and a replay sends the record that it was."""
    async with AIOKafkaProducer(**brokers.arguments()) as producer:
        for value in (b"0", b"{", BAD, b"2"):
            await producer.send_and_wait(topic, value, key=b"room.0", partition=0)
    pools.route = lambda record: [str(record.key)]
    pools.options = {"key_deserializer": decoded, "value_deserializer": number}
    async with pools.running():
        await until(lambda: pools.have_committed(4), PATIENCE)
    assert [int(item.data) for item in await redis_layer.history("room.0")] == [0, 2]
    postbox = Postbox(brokers=brokers, topics=[topic], suffix=".dlq", group=pools.group)
    assert await postbox.replay() == Replayed(sent=2)
    again = (await records_in(brokers, topic, 6))[0][-2:]
    assert [(each.key, each.value) for each in again] == [(b"room.0", b"{"), (b"room.0", BAD)]
