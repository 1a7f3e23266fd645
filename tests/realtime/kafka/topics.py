"""Topics that somebody removes."""

from __future__ import annotations

from aiokafka.admin import AIOKafkaAdminClient

from realtime.kafka.brokers import Brokers
from tests.waiting import until


async def remove_topic(brokers: Brokers, topic: str) -> None:
    """Remove a topic, and wait until it is gone."""
    admin = AIOKafkaAdminClient(**brokers.arguments())
    await admin.start()
    try:
        await admin.delete_topics([topic])
        await until(lambda: _is_gone(admin, topic))
    finally:
        await admin.close()


async def _is_gone(admin: AIOKafkaAdminClient, topic: str) -> bool:
    return topic not in await admin.list_topics()
