"""Publishes as a Django process does: group_send on the channel layer."""

from __future__ import annotations

import json
from collections.abc import Sequence

import django
from channels.layers import get_channel_layer

from benchmarks.peers.base import ROOM


class StockEmitter:
    """See benchmarks.emitter.Emitter."""

    async def open(self) -> None:
        django.setup()
        self._layer = get_channel_layer()

    async def publish(self, messages: Sequence[bytes]) -> None:
        for message in messages:
            await self._layer.group_send(
                f"chat_{ROOM}", {"type": "chat.message", "message": json.loads(message)}
            )

    async def close(self) -> None:
        await self._layer.flush()
