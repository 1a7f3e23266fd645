"""`python -m benchmarks.kafka.hand_written.worker PORT REDIS`: Redis to clients of `websockets`."""

from __future__ import annotations

import asyncio
import sys

from redis.asyncio import Redis
from websockets.asyncio.server import broadcast, serve

from benchmarks.kafka.hand_written.members import Members


async def _run(port: str, url: str) -> None:
    redis: Redis = Redis.from_url(url)
    heard = redis.pubsub()
    await heard.subscribe("nobody")  # so that there is something to listen to
    members = Members(heard.subscribe)
    async with serve(members.serve, "127.0.0.1", int(port), compression=None):
        async for message in heard.listen():
            if message["type"] == "message":
                broadcast(members.of[message["channel"]], message["data"].decode())


if __name__ == "__main__":
    asyncio.run(_run(*sys.argv[1:]))
