"""Writes the machine's figures to Kafka."""

from __future__ import annotations

import asyncio
import logging
import time

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from demo.feed.figures import figures
from demo.feed.machine import read_machine
from demo.feed.schedule import next_tick
from realtime.json_values import encode
from realtime.kafka.brokers import Brokers, make_topic, wait_for_topics
from realtime.kafka.reporting import quiet_aiokafka
from realtime.kafka.routing.header_rules import ROOM_HEADER
from realtime.outage import Outage, pause

logger = logging.getLogger(__name__)

INTERVAL = 0.1  # seconds
PARTITIONS = 8  # of a topic that has to be made
GIVE_UP = 2000  # milliseconds; a figure that Kafka did not take in this time is old


async def run_feed(brokers: Brokers, topic: str, *, stop: asyncio.Event) -> None:
    """Write a record for each room ten times a second until `stop`.

    Waits for Kafka and makes the topic. While Kafka is away figures are dropped: old ones are of
    no use.
    """
    quiet_aiokafka()
    outage = Outage(str(brokers), logger)
    while await wait_for_topics(brokers, (), stop=stop, outage=outage):
        try:
            await make_topic(brokers, topic, partitions=PARTITIONS)
            await _write(brokers, topic, stop, outage)
        except KafkaError as error:
            await pause(outage.failed(error), unless=stop)


async def _write(brokers: Brokers, topic: str, stop: asyncio.Event, outage: Outage) -> None:
    arguments = brokers.arguments() | {"request_timeout_ms": GIVE_UP}
    async with AIOKafkaProducer(**arguments) as producer:
        logger.info("Writing this machine's figures to the topic %s.", topic)
        start = time.monotonic()
        before = read_machine()
        due = next_tick(start, start, INTERVAL)
        while not await pause(due - time.monotonic(), unless=stop):
            after = read_machine()
            written = [
                await producer.send(
                    topic,
                    encode(data),
                    key=room.encode(),  # one room, one partition: its figures stay in order
                    headers=[(ROOM_HEADER, room.encode())],
                )
                for room, data in figures(before, after).items()
            ]
            await asyncio.gather(*written)
            before = after
            due = next_tick(start, time.monotonic(), INTERVAL)
