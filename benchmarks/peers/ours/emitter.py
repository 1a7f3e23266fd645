"""Publishes as another process of the project does: to the channel layer, with history."""

from __future__ import annotations

from collections.abc import Sequence

import django
from channels.layers import get_channel_layer

from benchmarks.peers.base import ROOM


class OurEmitter:
    """See benchmarks.emitter.Emitter."""

    async def open(self) -> None:
        django.setup()
        self._layer = get_channel_layer()

    async def publish(self, messages: Sequence[bytes]) -> None:
        if len(messages) == 1:
            await self._layer.publish(ROOM, messages[0])
        else:
            await self._layer.publish_many([(ROOM, message) for message in messages])

    async def close(self) -> None:
        await self._layer.close()
