"""What one writes first: a loop that awaits records, their publishing and a commit, in turn.

`python -m benchmarks.history.loop HOW SERVERS TOPIC GROUP REDIS`, where HOW is "batch" (all records
of a turn are published with one call) or "each" (with a call for each).
"""

from __future__ import annotations

import asyncio
import sys

from aiokafka import AIOKafkaConsumer

from shardlayer import ShardedChannelLayer

RECORDS = 100  # in a turn, at most
WAIT = 50  # milliseconds; as the pool has it


async def _run(how: str, servers: str, topic: str, group: str, url: str) -> None:
    layer = ShardedChannelLayer(hosts=[url])
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=servers,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=WAIT,
        session_timeout_ms=6_000,
        heartbeat_interval_ms=2_000,
    )
    await consumer.start()
    while True:
        batches = await consumer.getmany(timeout_ms=WAIT, max_records=RECORDS)
        records = [record for batch in batches.values() for record in batch]
        if not records:
            continue
        items = [(record.key.decode(), record.value) for record in records]
        if how == "batch":
            await layer.publish_many(items)
        else:
            for room, data in items:
                await layer.publish(room, data)
        await consumer.commit()


if __name__ == "__main__":
    asyncio.run(_run(*sys.argv[1:]))
