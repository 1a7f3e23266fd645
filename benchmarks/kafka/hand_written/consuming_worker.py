"""`python -m benchmarks.kafka.hand_written.consuming_worker PORT SERVERS TOPIC`: Kafka to clients.

Each worker reads all records, and sends its own clients those of their rooms. It is a group of its
own, so that it goes on where it stopped when it is started again. aiokafka commits by itself.
"""

from __future__ import annotations

import asyncio
import os
import sys

from aiokafka import AIOKafkaConsumer
from websockets.asyncio.server import broadcast, serve

from benchmarks.kafka.hand_written.members import Members
from benchmarks.kafka.hand_written.reader import RECORDS, WAIT


async def _run(port: str, servers: str, topic: str) -> None:
    session = int(os.environ["KAFKA_SESSION_TIMEOUT_MS"])
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=servers,
        group_id=f"{topic}-{port}",
        auto_offset_reset="earliest",
        fetch_max_wait_ms=WAIT,
        session_timeout_ms=session,
        heartbeat_interval_ms=session // 3,
    )
    members = Members()
    await consumer.start()
    async with serve(members.serve, "127.0.0.1", int(port), compression=None):
        while True:
            batches = await consumer.getmany(timeout_ms=WAIT, max_records=RECORDS)
            for records in batches.values():
                for record in records:
                    if clients := members.of.get(record.key):
                        broadcast(clients, record.value.decode())


if __name__ == "__main__":
    asyncio.run(_run(*sys.argv[1:]))
