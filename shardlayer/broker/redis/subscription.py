"""The connection over which a process hears one Redis server, however many shards live there.

It carries sharded pub/sub channels (Redis 7+: SSUBSCRIBE), reconnects by itself and says each time
when everything can be heard again.

A connection may go silent and stay open: the server hangs, or packets vanish on their way. Nobody
would ever notice, since nothing is sent on it. So when it has heard nothing for a while, the
process publishes something to itself, over its other connection to that server. If that does not
arrive, it gives the silent connection up.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse

from shardlayer.aio.backoff import Backoff
from shardlayer.aio.loop_delay import stall_tolerant_timeout
from shardlayer.aio.tasks import Tasks, is_cancelled
from shardlayer.broker.redis.command_link import close
from shardlayer.broker.redis.sockets import Failure, Socket, open_connection, pack
from shardlayer.core.hosts import Host
from shardlayer.core.redis_clients import connect

logger = logging.getLogger("shardlayer.broker.redis")

RECONNECT_FIRST = 0.1  # seconds, doubled with each failure
RECONNECT_MAX = 1.0  # seconds


class Probe(NamedTuple):
    """How a connection that hears nothing is told from one that has nothing to hear.

    Attributes:
        publish: Publishes something on one of its channels.
        interval: Seconds without a word after which that is done.
        timeout: Seconds within which it must be heard.
    """

    publish: Callable[[], Awaitable[object]]
    interval: float
    timeout: float


class Subscription:
    """Hears channels of one server until it is closed.

    Args:
        host: The server.
        channels: The sharded pub/sub channels, those of one slot together.
        on_message: Called with a channel and what was published on it, in order.
        on_resumed: Called when all channels can be heard, the first time and after each loss.
        on_lost: Called when they can't be heard any more, or could not from the start.
        timeout: Seconds that connecting and subscribing may take.
        probe: Finds out when it has gone deaf.
        tasks: Of who wants it.
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
        probe: Probe,
        tasks: Tasks,
    ) -> None:
        self._address = host.address
        self._host = host
        self._channels = channels
        self._on_message = on_message
        self._on_resumed = on_resumed
        self._on_lost = on_lost
        self._hears = False
        self._timeout = timeout
        self._probe = probe
        self._failures = 0  # in a row
        self._backoff = Backoff(RECONNECT_FIRST, RECONNECT_MAX)
        self._tasks = tasks
        self._task = tasks.supervise(self._run, f"subscription to {self._address}")

    async def aclose(self) -> None:
        """Stop hearing and close the connection."""
        if not self._task.cancelling():  # a second cancellation would break off the closing
            self._task.cancel()
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        redis = connect(self._host, timeout=self._timeout)
        try:
            while True:
                try:
                    await self._hear(redis)
                except Failure as error:
                    self._lost(error)
                except (Exception, asyncio.CancelledError) as error:
                    if not is_cancelled():
                        self._lost(error)
                    raise
                await asyncio.sleep(self._backoff.failed())
        finally:
            await close(redis)

    def _lost(self, error: BaseException) -> None:
        if self._hears or self._failures == 0:
            logger.warning("Can't hear %s; waiting for it. %s", self._address, error)
        if self._hears:
            self._failures = 0
            self._backoff.reset()
        self._failures += 1
        self._hears = False
        self._on_lost()

    async def _hear(self, redis: Redis) -> None:
        """Hear until the connection is lost; raises why."""

        def resumed() -> None:
            if self._failures:
                logger.info("%s can be heard again.", self._address)
            self._hears = True
            self._on_resumed()

        ear = _Ear(
            await open_connection(redis),
            self._channels,
            on_message=self._on_message,
            on_resumed=resumed,
        )
        try:
            async with stall_tolerant_timeout(self._timeout):
                await ear.resumed.wait()
            await self._attend(ear)
        finally:
            await ear.aclose()

    async def _attend(self, ear: _Ear) -> None:
        """Keep a connection for as long as it hears; raises why it does not any more."""
        probing = self._tasks.supervise(partial(self._probe_on, ear), f"probe of {self._address}")
        try:
            await ear.deaf
        finally:
            probing.cancel()
            await asyncio.wait([probing])

    async def _probe_on(self, ear: _Ear) -> None:
        """Give the connection up once it does not hear what this process publishes."""
        while True:
            ear.heard.clear()
            await asyncio.sleep(self._probe.interval)
            if ear.heard.is_set():
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(self._probe.timeout):
                    with suppress(*Failure):  # to be tried again; meanwhile others may be heard
                        await self._probe.publish()
                    await ear.heard.wait()
            # Asked, not concluded: a process that was stopped finds both due when it goes on.
            if not ear.heard.is_set():
                silence = self._probe.interval + self._probe.timeout
                ear.lose(RedisConnectionError(f"nothing was heard for {silence:g} s"))
                return


class _Ear(Socket):
    """One connection while it hears.

    Attributes:
        heard: Set whenever something comes.
        resumed: Set when all channels can be heard, or when that has failed.
        deaf: Raises why nothing can be heard any more.
    """

    def __init__(
        self,
        connection: AbstractConnection,
        channels: Sequence[Sequence[str]],
        *,
        on_message: Callable[[bytes, bytes], None],
        on_resumed: Callable[[], None],
    ) -> None:
        super().__init__(connection)
        self.heard = asyncio.Event()
        self.resumed = asyncio.Event()
        self.deaf: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._on_message = on_message
        self._on_resumed = on_resumed
        self._waiting = {channel.encode() for slot in channels for channel in slot}
        self.write(b"".join(pack(("SSUBSCRIBE", *slot)) for slot in channels))

    def heard_of(self) -> None:
        """Tell who probes."""
        self.heard.set()

    def answered(self, answer: Any) -> None:
        """Take a message, or the confirmation of a subscription."""
        if isinstance(answer, Exception):
            self.lose(answer)
            return
        try:
            kind, channel, value = answer
        except (TypeError, ValueError):
            raise InvalidResponse(f"{answer!r} is not a message") from None
        if kind == b"smessage":
            try:
                self._on_message(channel, value)
            except Exception:
                # The connection may be at fault as little as the rest of what comes over it, but
                # what was missed is found only by beginning anew.
                logger.exception("A message on %r could not be taken.", channel)
                self.lose(RedisConnectionError("a message could not be taken"))
        elif kind == b"ssubscribe" and self._waiting:
            self._waiting.discard(channel)
            if not self._waiting:
                self._on_resumed()
                self.resumed.set()
        elif kind == b"sunsubscribe":
            self.lose(RedisConnectionError("a slot has moved to another server"))

    def ended(self, error: Exception) -> None:
        """Say why nothing can be heard any more."""
        self.resumed.set()
        if not self.deaf.done():
            self.deaf.set_exception(error)
            self.deaf.exception()  # who closes before asking need not know
