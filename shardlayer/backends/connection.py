"""How a process reaches one Redis server, and the connection over which it sends commands.

One connection carries the commands for all shards that live there, in the order in which they were
put, and none waits for another's reply. What is published is heard on another: `subscription.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from copy import copy
from typing import Any

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError

from shardlayer.backends.pipeline import Greet, Pipeline
from shardlayer.commands import Argument, Call
from shardlayer.hosts import Host

CONNECT_TIMEOUT = 2.0  # seconds
CLOSE_TIMEOUT = 5.0  # seconds that a connection gets to close; a busy machine needs some

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
            # Not wait_for: cancelled before its task began, it would close nothing.
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await client.aclose()


class CommandLink:
    """Sends commands to one server over one connection.

    Args:
        host: The server.
        timeout: Seconds that a reply may take.
        greet: Called with each new connection before anything else is sent over it.
    """

    def __init__(self, host: Host, *, timeout: float, greet: Greet | None = None) -> None:
        self.host = host
        self.address = host.address
        self._prelude: tuple[tuple[Argument, ...], ...] = ()
        self._redis = connect(host, timeout=timeout)
        self._pipeline = Pipeline(self._redis, timeout=timeout, greet=greet)

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
        """Call a script and return its reply; sends it if the server does not know it."""
        values = (len(call.keys), *call.keys, *call.args)
        try:
            return await self.execute("EVALSHA", call.script.sha, *values)
        except NoScriptError:
            return await self.execute("EVAL", call.script.source, *values)

    async def evaluate(self, calls: Sequence[Call], then: tuple[Argument, ...]) -> list[Any]:
        """Call small scripts, send one more command right behind, and return all replies.

        A reply that is an error is returned, not raised.
        """
        evals = (
            ("EVAL", call.script.source, len(call.keys), *call.keys, *call.args) for call in calls
        )
        return await self._pipeline.execute([*evals, then])

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
