"""A loop winds up while a receiver's message is on its way from Redis."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator

import pytest
from asgiref.sync import async_to_sync
from redis import Redis

from demo.embedded import EmbeddedValkey
from shardlayer.layer import ShardedChannelLayer
from tests.waiting import PATIENCE, until

HELD = "held back"


class HeldRedis:
    """An answer that has `HELD` in it comes once `is_over` is set; all else at once."""

    def __init__(self, server: EmbeddedValkey) -> None:
        self.is_over = threading.Event()
        self._server = server.url.rpartition(":")[2].partition("/")[0]
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        self.is_over.set()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", int(self._server)))
            for ends, is_answer in (((client, server), False), ((server, client), True)):
                threading.Thread(target=self._pass_on, args=(*ends, is_answer), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, is_answer: bool) -> None:
        try:
            while data := source.recv(65536):
                if is_answer and HELD.encode() in data:
                    self.is_over.wait(PATIENCE)
                sink.sendall(data)
        except OSError:
            pass  # one of them is gone
        finally:
            source.close()
            sink.close()


@pytest.fixture
def held_redis(redis_server: EmbeddedValkey) -> Iterator[HeldRedis]:
    """Stand before a running server."""
    held = HeldRedis(redis_server)
    yield held
    held.close()


@pytest.mark.parametrize("way", ["asyncio.run", "async_to_sync"])
def test_message_is_back_in_its_queue(
    redis_server: EmbeddedValkey, held_redis: HeldRedis, way: str
) -> None:
    """Redis has taken it out for a receiver that is cancelled with all tasks of its loop."""
    layer = ShardedChannelLayer(hosts=[held_redis.url])

    async def receive_at_the_end() -> None:
        await layer.send("jobs", {"type": HELD})
        receiving = asyncio.create_task(receive())
        await until(lambda: not redis.keys("*queue:jobs"))
        assert not receiving.done()

    async def receive() -> None:
        try:
            await layer.receive("jobs")
        except asyncio.CancelledError:
            held_redis.is_over.set()  # all tasks are cancelled by now
            raise

    async def receive_later() -> object:
        async with asyncio.timeout(PATIENCE):
            return await layer.receive("jobs")

    with Redis.from_url(redis_server.url) as redis:
        if way == "asyncio.run":
            asyncio.run(receive_at_the_end())
        else:
            async_to_sync(receive_at_the_end)()
    try:
        assert async_to_sync(receive_later)() == {"type": HELD}
    finally:
        async_to_sync(layer.close)()
