"""How far Redis has an outbox, by shard: what each shard said since a relay began to work.

Nothing goes to a shard before its mark is known. A server that is away holds up its own shards
only.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from realtime.outage import Outage
from shardlayer import ScriptFailed, ShardedChannelLayer, ShardUnavailable

logger = logging.getLogger(__name__)

Shard = tuple[str, int]
"""A layer's alias, and the number of a shard of that layer."""


class ShardMarks:
    """Asks each shard for the mark of a source, until all have told it.

    Args:
        layers: The layers that may know the source, by alias.
        source: Names the outbox in marks.
        on_told: Called with each shard that tells, once.

    Attributes:
        furthest: The number of the latest batch that a shard has told; 0: none has any.
    """

    def __init__(
        self,
        layers: Mapping[str, ShardedChannelLayer],
        source: str,
        on_told: Callable[[Shard], None],
    ) -> None:
        self.furthest = 0
        self._layers = layers
        self._source = source
        self._on_told = on_told
        self._untold = {
            (alias, shard)
            for alias, layer in layers.items()
            for shard in range(layer.options.shards)
        }
        self._outage = Outage("Redis", logger)

    @property
    def are_complete(self) -> bool:
        """Whether all shards have told."""
        return not self._untold

    def has_told(self, shard: Shard) -> bool:
        """Tell whether a shard has told its mark."""
        return shard not in self._untold

    async def ask(self) -> None:
        """Ask the shards that have not told, again and again until all have."""
        while self._untold:
            failures = await asyncio.gather(*map(self._ask, sorted(self._untold)))
            failed = [failure for failure in failures if failure is not None]
            if failed:
                await asyncio.sleep(self._outage.failed(failed[0]))
        self._outage.over()

    async def _ask(self, asked: Shard) -> Exception | None:
        """Note the mark of a shard; return why it did not tell."""
        alias, shard = asked
        try:
            marks = await self._layers[alias].marks([self._source], shard=shard)
        except (ShardUnavailable, ScriptFailed) as error:
            return error
        if (mark := marks[self._source]) is not None:
            self.furthest = max(self.furthest, mark.offset)
        self._untold.discard(asked)
        self._on_told(asked)
        return None
