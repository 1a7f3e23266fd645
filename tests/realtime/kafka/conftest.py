"""A topic on each kind of broker, and pools that read it."""

from __future__ import annotations

from uuid import uuid4

import pytest

from demo.embedded import EmbeddedTansu
from realtime.kafka.brokers import Brokers
from shardlayer import ShardedChannelLayer
from tests.apache_kafka import ApacheKafka
from tests.realtime.kafka.numbered import PARTITIONS
from tests.realtime.kafka.pools import Pools


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
