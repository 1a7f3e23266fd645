"""Pools that read a topic in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

from realtime.kafka.brokers import Brokers
from realtime.kafka.pool import Pool
from realtime.kafka.reading.size_limits import Limits
from realtime.kafka.routing.header_rules import Route, route
from shardlayer import ShardedChannelLayer
from tests.realtime.kafka.numbered import committed

END = 30.0  # seconds that a pool may take to end, whatever happens


class Pools:
    """Makes pools of one group.

    Attributes:
        brokers: Where Kafka is.
        topic: What they read.
        group: The consumer group, of this test's own.
        instance: What the next pool is called in the group.
        session_timeout: Milliseconds until the group gives up a consumer of the next pool.
        dead_letter_suffix: The next pool's.
        limits: The next pool's.
        isolation: The next pool's.
        route: The next pool's.
        options: More arguments of the next pool's consumers.
    """

    def __init__(self, *, brokers: Brokers, topic: str, layer: ShardedChannelLayer) -> None:
        self.instance: str | None = None
        self.session_timeout = 3000  # on a busy machine one of 1 s is not kept
        self.dead_letter_suffix: str | None = ".dlq"
        self.limits = Limits(payload=1000)
        self.isolation = "read_committed"
        self.route: Route = route
        self.options: dict[str, Any] = {}
        self.brokers = brokers
        self.topic = topic
        self.group = f"group-{uuid4().hex[:12]}"
        self._layer = layer

    def make(self, *, consumers: int = 1) -> Pool:
        """Return a pool that does not run yet."""
        return Pool(
            brokers=self.brokers,
            topics=[self.topic],
            group=self.group,
            consumers=consumers,
            auto_offset_reset="earliest",
            route=self.route,
            layer=self._layer,
            limits=self.limits,
            isolation=self.isolation,
            dead_letter_suffix=self.dead_letter_suffix,
            instance=self.instance,
            terminal=None,
            options={
                "session_timeout_ms": self.session_timeout,
                "heartbeat_interval_ms": 300,
                **self.options,
            },
        )

    async def have_committed(self, count: int) -> bool:
        """Tell whether the group has committed so many offsets."""
        return await committed(self.brokers, self.topic, self.group) == count

    @asynccontextmanager
    async def running(self, *, consumers: int = 1) -> AsyncIterator[Pool]:
        """Run a pool during the block, and wait for its orderly end."""
        pool = self.make(consumers=consumers)
        stop = asyncio.Event()
        task = asyncio.create_task(pool.run(stop))
        try:
            yield pool
        finally:
            stop.set()
            await asyncio.wait_for(task, END)
