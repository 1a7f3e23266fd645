"""What ends a client of aiokafka ends all of it, also where Kafka does not answer."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from realtime.kafka.brokers import Brokers
from realtime.kafka.reading.closing import close_connections, close_consumer, close_producer
from tests.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.kafka]

GRACE = 20.0  # seconds, on a busy machine


def connected(client: Any) -> int:
    """Return how many connections a client of aiokafka holds open."""
    return sum(connection.connected() for connection in client._conns.values())


def running() -> set[str]:
    """Return the names of aiokafka's tasks that run, as far as they use connections."""
    names = (
        "GroupCoordinator",
        "Fetcher",
        "Sender._sender_routine",
        "AIOKafkaClient",
        "AIOKafkaConnection",
    )
    found = {getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks()}
    return {name for name in found if name.startswith(names)}


async def never(*_: object) -> None:
    """Wait for what does not come."""
    await asyncio.Event().wait()


async def test_consumer_that_can_not_leave_its_group(brokers: Brokers, topic: str) -> None:
    """Its fetcher connects anew when its connections are closed, and ends with the rest."""
    consumer = AIOKafkaConsumer(
        topic, **brokers.arguments(), group_id=topic, enable_auto_commit=False
    )
    await consumer.start()
    await until(lambda: connected(consumer._client) >= 2)
    assert running()
    consumer._coordinator._maybe_leave_group = never
    assert not await close_consumer(consumer, grace=0.0)
    assert running() == set()
    assert connected(consumer._client) == 0


async def test_consumer_that_a_request_connects_anew(brokers: Brokers, topic: str) -> None:
    """A request to a closed consumer's brokers connects, and that is closed, too."""
    consumer = AIOKafkaConsumer(
        topic, **brokers.arguments(), group_id=topic, enable_auto_commit=False
    )
    await consumer.start()
    assert await close_consumer(consumer, grace=GRACE)
    [node, *_] = consumer._client.cluster.brokers()
    assert await consumer._client.ready(node.nodeId)
    assert connected(consumer._client) == 1
    await close_connections(consumer)
    assert connected(consumer._client) == 0
    assert running() == set()


async def test_consumer_whose_fetches_failed(brokers: Brokers, topic: str) -> None:
    """aiokafka ends at the first fetch that is cancelled while it waits for its next try."""
    consumer = AIOKafkaConsumer(
        topic, **brokers.arguments(), group_id=topic, enable_auto_commit=False
    )
    await consumer.start()
    await until(lambda: connected(consumer._client) >= 2)
    fetches = {asyncio.create_task(never()) for _ in range(2)}
    await asyncio.sleep(0)
    consumer._fetcher._pending_tasks |= fetches
    assert await close_consumer(consumer, grace=GRACE)
    assert all(fetch.cancelled() for fetch in fetches)
    assert running() == set()
    assert connected(consumer._client) == 0


async def test_producer_that_can_not_write(brokers: Brokers, topic: str) -> None:
    """What it has not written is left, and its connections are closed."""
    producer = AIOKafkaProducer(**brokers.arguments())
    await producer.start()
    await producer.send_and_wait(topic, b"1")
    assert running()
    producer._message_accumulator.close = never
    await close_producer(producer, grace=0.1)
    assert running() == set()
    assert connected(producer.client) == 0
