"""Handing a batch of publications to the channel layer until all of it is acknowledged."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from realtime.outage import Outage, pause
from shardlayer import ShardedChannelLayer, ShardUnavailable

logger = logging.getLogger(__name__)


class Delivery:
    """Publishes batches; a shard that does not answer is tried again forever.

    What other shards of the batch have acknowledged is not sent again. Whether a shard that timed
    out took its part can't be known, so that part may arrive twice.
    """

    def __init__(self, layer: ShardedChannelLayer) -> None:
        self._layer = layer
        self._outage = Outage("Redis", logger)

    async def publish(self, items: Sequence[tuple[str, bytes]], *, give_up: asyncio.Event) -> bool:
        """Publish rooms' data in order; return whether all of it was acknowledged.

        Returns False only when `give_up` was set while a shard did not answer.
        """
        waiting = self._by_shard(items)
        while True:
            results = await asyncio.gather(
                *map(self._layer.publish_many, waiting), return_exceptions=True
            )
            failed = []
            error: ShardUnavailable | None = None
            for part, result in zip(waiting, results, strict=True):
                if isinstance(result, ShardUnavailable):
                    failed.append(part)
                    error = result
                elif isinstance(result, BaseException):
                    raise result
            if error is None:
                self._outage.over()
                return True
            waiting = failed
            if await pause(self._outage.failed(error), unless=give_up):
                return False

    def _by_shard(self, items: Sequence[tuple[str, bytes]]) -> list[list[tuple[str, bytes]]]:
        parts: dict[int, list[tuple[str, bytes]]] = {}
        for room, data in items:
            parts.setdefault(self._layer.shard_of(room), []).append((room, data))
        return list(parts.values())
