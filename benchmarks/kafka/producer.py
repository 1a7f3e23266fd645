"""`python -m benchmarks.kafka.producer SERVERS TOPIC ROOMS`: produces records as it is told.

A record's payload carries its number in its room and the time at which it was handed to the
producer, which is also its timestamp in Kafka.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from functools import partial
from typing import Any

from aiokafka import AIOKafkaProducer

from benchmarks.conversation import obey
from benchmarks.stamps import stamped

LINGER = 5  # milliseconds
STRIDE = 7_919  # a prime: rooms come in an order of no meaning, each as often as the others
AT_ONCE = 500  # records between two turns of the loop


async def _run(servers: str, topic: str, rooms: str) -> None:
    count_of_rooms = int(rooms)
    keys = [f"room-{number * STRIDE % count_of_rooms}".encode() for number in range(count_of_rooms)]
    producer = AIOKafkaProducer(bootstrap_servers=servers, linger_ms=LINGER)
    await producer.start()

    async def produce(*, first: int, count: int, rate: float, size: int) -> dict[str, Any]:
        """Produce records; `rate` is in records/s, 0: as fast as it goes."""
        begun = time.monotonic()
        late = 0.0
        acknowledged: list[int] = []  # nanoseconds that each took

        def note(record: asyncio.Future[Any], sent: int) -> None:
            acknowledged.append(time.monotonic_ns() - sent)

        for number in range(count):
            due = begun + number / rate if rate else 0.0
            if rate and (ahead := due - time.monotonic()) > 0:
                await asyncio.sleep(ahead)
            elif number % AT_ONCE == 0:
                await asyncio.sleep(0)
            now = time.monotonic_ns()
            late = max(late, now / 1e9 - due)
            data = stamped(first + number // count_of_rooms, now, size)
            record = await producer.send(topic, data, key=keys[number % count_of_rooms])
            record.add_done_callback(partial(note, sent=now))
        await producer.flush()
        return {
            "published": count,
            "late_ms": late * 1e3 if rate else 0.0,
            "p50_ms": statistics.median(acknowledged) / 1e6,
        }

    await obey({"produce": produce})


if __name__ == "__main__":
    asyncio.run(_run(*sys.argv[1:]))
