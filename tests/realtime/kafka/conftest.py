"""A topic on each kind of broker, and pools that read it."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from typing import Any
from uuid import uuid4
from weakref import WeakKeyDictionary

import pytest
from aiokafka.conn import AIOKafkaConnection

from demo.embedded import EmbeddedTansu
from realtime.kafka.brokers import Brokers
from shardlayer import ShardedChannelLayer
from tests.apache_kafka import ApacheKafka
from tests.realtime.kafka.numbered import PARTITIONS
from tests.realtime.kafka.pools import Pools
from tests.waiting import PATIENCE


@pytest.fixture(autouse=True)
def all_connections_are_closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """aiokafka may forget a connection, which the garbage collector finds during another test."""
    made: WeakKeyDictionary[AIOKafkaConnection, str] = WeakKeyDictionary()
    connect = AIOKafkaConnection.connect

    async def connect_and_note(connection: AIOKafkaConnection) -> Any:
        made[connection] = "".join(traceback.format_stack())
        return await connect(connection)

    monkeypatch.setattr(AIOKafkaConnection, "connect", connect_and_note)
    yield
    left = [where for connection, where in made.items() if connection.connected()]
    assert not left, "A connection was left open, which was made here:\n" + left[0]


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that is slow on a busy machine is not away."""
    monkeypatch.setattr("realtime.kafka.brokers.PROBE_TIMEOUT", PATIENCE)
    monkeypatch.setattr("realtime.kafka.brokers.ANSWER_TIMEOUT", int(PATIENCE * 1000))


@pytest.fixture
def brokers(any_kafka: EmbeddedTansu | ApacheKafka) -> Brokers:
    """The running broker."""
    return Brokers(servers=[any_kafka.bootstrap_servers], options={})


@pytest.fixture
def topic(any_kafka: EmbeddedTansu | ApacheKafka) -> str:
    """The name of a new topic on it."""
    name = f"topic-{uuid4().hex[:12]}"
    any_kafka.create_topic(name, partitions=PARTITIONS)
    return name


@pytest.fixture
def pools(brokers: Brokers, topic: str, redis_layer: ShardedChannelLayer) -> Pools:
    """Pools that read this topic, in a group of this test's own."""
    return Pools(brokers=brokers, topic=topic, layer=redis_layer)
