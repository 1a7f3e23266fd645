"""A pool may read in a group of its own: which letters were replayed is noted in one place."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from pytest_django import Settings

from realtime.conf import conf
from realtime.kafka.brokers import Brokers
from realtime.kafka.configured import configured_pool, configured_postbox
from shardlayer import ShardedChannelLayer
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.kafka


@pytest.fixture
def options(brokers: Brokers, topic: str, settings: Settings) -> dict[str, Any]:
    """The options of a `runkafka --group` with another group than KAFKA_GROUP."""
    settings.REALTIME = {
        "KAFKA_BOOTSTRAP_SERVERS": list(brokers.servers),
        "KAFKA_TOPICS": [topic],
        "KAFKA_GROUP": f"{topic}-site",
        "KAFKA_CONSUMER_OPTIONS": {"session_timeout_ms": 3000, "heartbeat_interval_ms": 300},
    }
    return {
        "bootstrap": ",".join(brokers.servers),
        "topics": [topic],
        "group": f"{topic}-own",
        "consumers": 1,
        "auto_offset_reset": "earliest",
        "instance_id": None,
    }


async def test_pool_counts_as_replays_note(
    brokers: Brokers,
    topic: str,
    redis_layer: ShardedChannelLayer,
    options: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What the command and the admin have sent waits no more, also for a pool with `--group`."""
    monkeypatch.setattr("realtime.kafka.pool.COUNT_INTERVAL", 0.2)
    caplog.set_level(logging.INFO, "realtime")
    async with AIOKafkaProducer(**brokers.arguments()) as producer:
        await producer.send_and_wait(topic, b"no json", key=b"room.0", partition=0)
    stop = asyncio.Event()
    pool = configured_pool(conf(), redis_layer, options)
    assert f"is noted under '{topic}-site.dlq'" in caplog.text
    running = asyncio.create_task(pool.run(stop))
    try:
        await until(lambda: pool.dead_letters == {topic: 1}, PATIENCE)
    finally:
        stop.set()
        await running
    assert (await configured_postbox(conf()).replay()).sent == 1  # no pool makes it a letter again
    assert pool._counted is not None
    await pool._counted.count()
    assert pool.dead_letters == {topic: 0}


@pytest.mark.parametrize("values", [{"KAFKA_GROUP": "own"}, {"KAFKA_DEAD_LETTER_SUFFIX": None}])
def test_nothing_is_said_where_groups_do_not_differ(
    values: dict[str, Any],
    options: dict[str, Any],
    settings: Settings,
    redis_layer: ShardedChannelLayer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nor where no letters are kept."""
    caplog.set_level(logging.INFO, "realtime")
    settings.REALTIME = values
    configured_pool(conf(), redis_layer, options | {"group": "own"})
    assert "noted under" not in caplog.text
