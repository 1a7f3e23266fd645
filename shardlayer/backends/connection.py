"""The two connections that a process keeps to one Redis server, however many shards live there.

`CommandLink` sends commands. One connection carries them all, in the order in which they were put,
and none waits for another's reply.

`Subscription` hears sharded pub/sub channels (Redis 7+: SSUBSCRIBE). It reconnects by itself and
says each time when everything can be heard again.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from copy import copy
from typing import Any

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisError

from shardlayer.backends.pipeline import CLOSE_TIMEOUT, Pipeline
from shardlayer.commands import Argument, Call
from shardlayer.hosts import Host

logger = logging.getLogger("shardlayer.redis")

CONNECT_TIMEOUT = 2.0  # seconds
RECONNECT_BASE = 0.05  # seconds, doubled with each failure
RECONNECT_MAX = 1.0  # seconds
CANCEL_INTERVAL = 0.05  # seconds

Failure = (RedisError, OSError, TimeoutError)
"""What a server that can't be reached, or refuses, raises."""


def connect(host: Host, *, timeout: float) -> Redis:
    """Return a client that keeps one connection to a server and never retries by itself.

    It speaks RESP2, whose replies do not differ between Redis 7 and Valkey 9. Retries are the
    callers', who know which command may be repeated. `timeout` bounds a reply, in seconds. Behind
    Sentinels every new connection asks anew which server is the primary.
    """
    arguments: dict[str, Any] = {
        "socket_timeout": timeout,
        "socket_connect_timeout": min(CONNECT_TIMEOUT, timeout),
        **host.arguments,
        "max_connections": 1,
        "protocol": 2,
        "decode_responses": False,
        "retry": Retry(NoBackoff(), 0),
        "client_name": "shardlayer",
    }
    if host.master_name:
        sentinel = Sentinel(  # type: ignore[no-untyped-call]
            host.sentinels,
            sentinel_kwargs={
                "socket_timeout": CONNECT_TIMEOUT,
                "socket_connect_timeout": CONNECT_TIMEOUT,
                **host.sentinel_arguments,
            },
        )
        pool: ConnectionPool = SentinelConnectionPool(  # type: ignore[no-untyped-call]
            host.master_name, sentinel, check_connection=True, **arguments
        )
        return Redis.from_pool(pool)
    return Redis.from_pool(ConnectionPool.from_url(host.url, **arguments))


async def close(redis: Redis) -> None:
    """Close a client that `connect` made, with its connections to Sentinels."""
    pool = redis.connection_pool
    sentinels = pool.sentinel_manager.sentinels if isinstance(pool, SentinelConnectionPool) else ()
    for client in (redis, *sentinels):
        with suppress(*Failure):
            await asyncio.wait_for(client.aclose(), CLOSE_TIMEOUT)


class CommandLink:
    """Sends commands to one server over one connection.

    Args:
        host: The server.
        timeout: Seconds that a reply may take.
    """

    def __init__(self, host: Host, *, timeout: float) -> None:
        self.host = host
        self.address = host.address
        self._prelude: tuple[tuple[Argument, ...], ...] = ()
        self._redis = connect(host, timeout=timeout)
        self._pipeline = Pipeline(self._redis, timeout=timeout)

    def asking(self) -> CommandLink:
        """Return this link as one whose every command follows an ASKING.

        So a node takes it for a slot that it is importing (Redis Cluster specification, "ASK
        redirection"). The connection is the same.
        """
        link = copy(self)
        link._prelude = (("ASKING",),)
        return link

    async def execute(self, *command: Argument) -> Any:
        """Send one command and return its reply.

        Raises:
            RedisError, OSError: What the connection or the server answered.
        """
        return (await self._execute_all([*self._prelude, command]))[-1]

    async def call(self, call: Call) -> Any:
        """Call a script and return its reply; loads it if the server does not know it."""
        return (await self.call_then(call))[0]

    async def call_then(self, call: Call, *then: tuple[Argument, ...]) -> list[Any]:
        """Call a script, send more commands right behind it, and return all replies."""
        command = ("EVALSHA", call.script.sha, len(call.keys), *call.keys, *call.args)
        commands = [*self._prelude, command, *then]
        try:
            replies = await self._execute_all(commands)
        except NoScriptError:
            await self.execute("SCRIPT", "LOAD", call.script.source)
            replies = await self._execute_all(commands)
        return replies[len(self._prelude) :]

    async def _execute_all(self, commands: Sequence[tuple[Argument, ...]]) -> list[Any]:
        replies = await self._pipeline.execute(commands)
        for reply in replies:
            if isinstance(reply, BaseException):
                raise reply
        return replies

    async def aclose(self) -> None:
        """Send nothing more and close the connection."""
        await self._pipeline.aclose()
        await close(self._redis)


class Subscription:
    """Hears channels of one server until it is closed.

    Args:
        host: The server.
        channels: The sharded pub/sub channels, those of one slot together.
        on_message: Called with a channel and what was published on it, in order.
        on_resumed: Called when all channels can be heard, the first time and after each loss.
        on_lost: Called when they can't be heard any more, or could not from the start.
        timeout: Seconds that connecting and subscribing may take.
    """

    def __init__(
        self,
        host: Host,
        channels: Sequence[Sequence[str]],
        *,
        on_message: Callable[[bytes, bytes], None],
        on_resumed: Callable[[], None],
        on_lost: Callable[[], None],
        timeout: float,
    ) -> None:
        self._address = host.address
        self._host = host
        self._channels = channels
        self._on_message = on_message
        self._on_resumed = on_resumed
        self._on_lost = on_lost
        self._hears = False
        self._closing = False
        self._parting = False  # while it closes its connection
        self._timeout = timeout
        self._task = asyncio.create_task(self._run(), name=f"subscription to {self._address}")

    async def aclose(self) -> None:
        """Stop hearing and close the connection."""
        self._closing = True
        while not self._task.done():
            if self._parting:  # a cancellation now would leave the connection open
                await asyncio.wait([self._task])
                break
            # Again and again: redis-py 8.1 swallows some cancellations while it subscribes (6 of
            # 100 at random moments), or makes a connection error of them.
            self._task.cancel()
            await asyncio.wait([self._task], timeout=CANCEL_INTERVAL)

    async def _run(self) -> None:
        failures = 0
        while not self._closing:
            redis = connect(self._host, timeout=self._timeout)
            try:
                await self._hear(redis, failures)
            except Failure as error:
                if self._hears or failures == 0:
                    logger.warning("Can't hear %s: %s. Waiting for it.", self._address, error)
                failures = 1 if self._hears else failures + 1
                self._hears = False
                self._on_lost()
            finally:
                self._parting = True
                await close(redis)
                self._parting = False
            ceiling = min(RECONNECT_BASE * 2 ** min(failures, 10), RECONNECT_MAX)
            await asyncio.sleep(random.uniform(ceiling / 2, ceiling))  # noqa: S311 (jitter)

    async def _hear(self, redis: Redis, failures: int) -> None:
        pubsub = redis.pubsub()
        try:
            waiting: set[str] = set()
            for channels in self._channels:
                await pubsub.ssubscribe(*channels)
                waiting.update(channels)
            while True:
                message = await pubsub.get_message(timeout=self._timeout if waiting else None)
                if message is None:
                    if waiting:
                        raise TimeoutError("subscribing took too long")
                    continue
                kind = message["type"]
                if kind == "smessage":
                    self._on_message(message["channel"], message["data"])
                elif kind == "ssubscribe" and waiting:
                    waiting.discard(message["channel"].decode())
                    if not waiting:
                        if failures:
                            logger.info("%s can be heard again.", self._address)
                        self._hears = True
                        self._on_resumed()
                elif kind == "sunsubscribe":
                    raise RedisConnectionError("a slot has moved to another server")
        finally:
            self._parting = True
            with suppress(*Failure):
                await pubsub.aclose()  # type: ignore[no-untyped-call]
