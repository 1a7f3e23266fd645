"""`python -m benchmarks.kafka.hand_written.worker PORT REDIS`: Redis to clients of `websockets`."""

from __future__ import annotations

import asyncio
import sys
from urllib.parse import parse_qs, urlsplit

from redis.asyncio import Redis
from websockets.asyncio.server import ServerConnection, broadcast, serve

Rooms = dict[bytes, set[ServerConnection]]


async def _run(port: str, url: str) -> None:
    redis: Redis = Redis.from_url(url)
    heard = redis.pubsub()
    await heard.subscribe("nobody")  # so that there is something to listen to
    rooms: Rooms = {}

    async def serve_one(client: ServerConnection) -> None:
        query = urlsplit(client.request.path if client.request else "").query
        room = parse_qs(query)["room"][0]
        members = rooms.setdefault(room.encode(), set())
        members.add(client)
        await heard.subscribe(room)
        await client.send("subscribed")
        try:
            await client.wait_closed()
        finally:
            members.discard(client)

    async with serve(serve_one, "127.0.0.1", int(port), compression=None):
        async for message in heard.listen():
            if message["type"] == "message":
                broadcast(rooms[message["channel"]], message["data"].decode())


if __name__ == "__main__":
    asyncio.run(_run(*sys.argv[1:]))
