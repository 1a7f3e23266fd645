"""`python -m benchmarks.kafka.hand_written.reader SERVERS TOPIC REDIS`: records to Redis.

What a turn fetched is one pipeline of PUBLISH; then it is committed, as who writes it by hand does.
"""

from __future__ import annotations

import asyncio
import os
import sys

from aiokafka import AIOKafkaConsumer
from redis.asyncio import Redis

WAIT = 50  # milliseconds; as the pool has it
RECORDS = 500  # in a turn, at most; as the pool has it


async def _run(servers: str, topic: str, url: str) -> None:
    redis: Redis = Redis.from_url(url)
    session = int(os.environ["KAFKA_SESSION_TIMEOUT_MS"])
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=servers,
        group_id=topic,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=WAIT,
        session_timeout_ms=session,
        heartbeat_interval_ms=session // 3,
    )
    await consumer.start()
    while True:
        batches = await consumer.getmany(timeout_ms=WAIT, max_records=RECORDS)
        if not batches:
            continue
        pipeline = redis.pipeline(transaction=False)
        for records in batches.values():
            for record in records:
                pipeline.publish(record.key.decode(), record.value)
        await pipeline.execute()
        await consumer.commit()


if __name__ == "__main__":
    asyncio.run(_run(*sys.argv[1:]))
