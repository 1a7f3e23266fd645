"""Publishes to the workers' Redis from this process, also while the whole browser sleeps."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from shardlayer import ShardedChannelLayer
from tests.waiting import wait_until


class DirectPublisher:
    """Publishes without a worker, and without waiting for Redis.

    Args:
        layer: It must be closed in another thread: Playwright's event loop runs in this one.
    """

    def __init__(self, layer: ShardedChannelLayer) -> None:
        self._layer = layer
        self._begun = 0
        self._ended: list[BaseException | None] = []

    def publish(self, room: str, *data: Any, rate: float = 0) -> None:
        """Begin to publish each to a room, in order.

        Args:
            rate: At most so many a second; 0: as fast as may be.
        """
        begun = time.monotonic()
        for number, each in enumerate(data):
            if rate:
                time.sleep(max(0, begun + number / rate - time.monotonic()))
            self._layer.publish_soon(room, json.dumps(each).encode(), told=self._ended.append)
            self._begun += 1

    def settle(self) -> None:
        """Wait until Redis has all of it."""
        wait_until(lambda: len(self._ended) == self._begun)
        assert set(self._ended) <= {None}


@contextmanager
def direct_publisher(url: str) -> Iterator[DirectPublisher]:
    """Yield a publisher to the Redis at `url`; in the end wait until it has all of it."""
    layer = ShardedChannelLayer(hosts=[url])
    publisher = DirectPublisher(layer)
    try:
        yield publisher
        publisher.settle()
    finally:
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, layer.close()).result()
