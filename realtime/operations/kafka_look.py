"""What Kafka's brokers say of the pool's group; no pool has to run, and Redis has no part in it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from realtime.conf import conf
from realtime.operations.kafka_failures import KafkaUnavailable, kafka_failures

if TYPE_CHECKING:
    from realtime.kafka.group_look import GroupLook

KAFKA_FACTOR = 2  # times CHECK_TIMEOUT that Kafka may take: one thing is asked after another


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaLook:
    """The consumer group of the settings.

    Attributes:
        group: What the brokers say; None: unknown.
        why: Why it is unknown, for people; else empty.
    """

    group: GroupLook | None = None
    why: str = ""


async def look_at_kafka(*, within: float) -> KafkaLook:
    """Ask the brokers how the pool's group is, for so many seconds; raises nothing."""
    settings = conf()
    try:
        with kafka_failures():
            from realtime.kafka.brokers import brokers_of
            from realtime.kafka.group_look import look_at_group

            async with asyncio.timeout(within):
                group = await look_at_group(
                    await asyncio.to_thread(brokers_of, settings),  # reads certificates
                    topics=settings.kafka_topics,
                    group=settings.kafka_group,
                    isolation=settings.kafka_isolation,
                    reset=settings.kafka_auto_offset_reset,
                )
    except KafkaUnavailable as error:
        return KafkaLook(why=str(error))
    return KafkaLook(group=group)
