"""The application that publishes by itself, and tries again under the same key."""

from __future__ import annotations

import asyncio
import random

import django
from channels.layers import get_channel_layer

from shardlayer import ShardUnavailable

_PAUSE = 0.2  # seconds before the next try, at most


class LayerSource:
    """See benchmarks.faults.sources.base.Source.

    Args:
        keys: Whether each message has an idempotency key. Without, one that is not acknowledged
            ends the process, since nobody knows whether it was published.
    """

    def __init__(self, *, keys: bool) -> None:
        self._keys = keys

    async def open(self) -> None:
        django.setup()
        self._layer = get_channel_layer()

    async def send(self, room: str, number: int, data: bytes) -> None:
        while True:
            try:
                key = f"faults-{number}" if self._keys else ""
                await self._layer.publish(room, data, idempotency_key=key)
            except ShardUnavailable:
                if not self._keys:
                    raise
                await asyncio.sleep(random.uniform(0, _PAUSE))
            else:
                return

    async def close(self) -> None:
        await self._layer.close()
