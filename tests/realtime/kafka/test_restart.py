"""Kafka goes and comes back under a running pool, with all that it had."""

from __future__ import annotations

import asyncio
import logging

import pytest

from realtime.kafka.brokers import Brokers
from shardlayer import ShardedChannelLayer
from tests.apache_kafka import APACHE, ApacheKafka
from tests.realtime.kafka.numbered import PARTITIONS, arrived, expected, produce, published
from tests.realtime.kafka.pools import Pools
from tests.waiting import PATIENCE, until

pytestmark = [pytest.mark.slow, pytest.mark.kafka, *APACHE]


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_pool_goes_on_where_it_was(
    end: str,
    stoppable_kafka: ApacheKafka,
    redis_layer: ShardedChannelLayer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One line when Kafka goes, one when it is back; nothing is lost and no order changed."""
    topic = f"restarted-{end}"
    await asyncio.to_thread(stoppable_kafka.create_topic, topic, partitions=PARTITIONS)
    brokers = Brokers(servers=[stoppable_kafka.bootstrap_servers], options={})
    pools = Pools(brokers=brokers, topic=topic, layer=redis_layer)
    await produce(brokers, topic, 0, 250)
    async with pools.running(consumers=2):
        await arrived(redis_layer, 1)  # in the middle of its work
        caplog.clear()
        await asyncio.to_thread(getattr(stoppable_kafka, end))
        await until(lambda: f"{brokers} is not available" in caplog.text, within=PATIENCE)
        await asyncio.to_thread(stoppable_kafka.start)
        await until(lambda: f"{brokers} is back after" in caplog.text, within=PATIENCE)
        await produce(brokers, topic, 250, 50)
        await arrived(redis_layer, 300)
        await until(lambda: pools.have_committed(300), PATIENCE)  # its end would not wait long
    assert await published(redis_layer) == expected(300)
    told = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert "aiokafka" not in {record.name.partition(".")[0] for record in told}
    assert len(told) <= 4  # away, back; it may be, of each consumer a commit that came too late
