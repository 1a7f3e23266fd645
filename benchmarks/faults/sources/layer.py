"""The application that publishes by itself, and tries again under the same key."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import django
from channels.layers import get_channel_layer

from benchmarks.faults.sources.base import Message
from shardlayer import ShardUnavailable

_PAUSE = 0.2  # seconds before the next try, at most


class LayerSource:
    """See benchmarks.faults.sources.base.Source.

    Args:
        keys: Whether each message has an idempotency key. Without, they go out with one call,
            and one that is not acknowledged ends the process: nobody knows what became of it.
    """

    def __init__(self, *, keys: bool) -> None:
        self._keys = keys

    async def open(self) -> None:
        django.setup()
        self._layer = get_channel_layer()

    async def send(self, messages: Sequence[Message]) -> None:
        if self._keys:
            await asyncio.gather(*map(self._send_once, messages))
        else:
            await self._layer.publish_many([(message.room, message.data) for message in messages])

    async def _send_once(self, message: Message) -> None:
        key = f"faults-{message.number}"
        while True:
            try:
                await self._layer.publish(message.room, message.data, idempotency_key=key)
            except ShardUnavailable:
                await asyncio.sleep(random.uniform(0, _PAUSE))
            else:
                return

    async def close(self) -> None:
        await self._layer.close()
