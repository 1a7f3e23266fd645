"""Removes from the registries what died and what nobody has noticed.

The publish script forgets dead nodes in the rooms that it publishes to. Rooms to which nothing is
published, and that nobody joins, would keep them for good: so each server is searched now and then,
by whichever node comes first.
"""

from __future__ import annotations

import asyncio
import logging
import random

from shardlayer.aio.tasks import Tasks
from shardlayer.broker.interface import Inspection
from shardlayer.core.exceptions import ShardUnavailable
from shardlayer.core.options import LayerOptions
from shardlayer.core.sharding import by_shard

logger = logging.getLogger(__name__)

INTERVAL = 600.0  # seconds between two sweeps of a server
PAGE = 500  # keys that one step looks at
PAUSE = 0.05  # seconds between two steps: a sweep is never urgent


class Sweeper:
    """Searches the servers for what is gone.

    Args:
        inspection: The servers.
        options: The layer's options.
        tasks: Of the node.
        interval: Seconds between two sweeps of a server, by all nodes together.
    """

    def __init__(
        self,
        inspection: Inspection,
        options: LayerOptions,
        *,
        tasks: Tasks,
        interval: float = INTERVAL,
    ) -> None:
        self._inspection = inspection
        self._shards = options.shards
        self._interval = interval
        self._tasks = tasks.branch()

    def start(self) -> None:
        """Begin to sweep, in a task that `aclose` ends."""
        self._tasks.repeat(
            self._sweep_all,
            "sweeper of the registries",
            pause=lambda: self._interval * random.uniform(0.5, 1),  # noqa: S311 (jitter)
        )

    async def aclose(self) -> None:
        """Stop sweeping."""
        await self._tasks.aclose()

    async def sweep(self, server: int) -> int:
        """Search a server if nobody did within the interval; return how many were forgotten.

        Raises:
            ShardUnavailable: If it does not answer.
        """
        if not await self._inspection.claim_sweep(server, self._interval):
            return 0
        forgotten = 0
        cursor: int | None = None
        while cursor != 0:
            cursor, groups = await self._inspection.scan(server, cursor or 0, PAGE)
            for shard, found in by_shard(groups, self._shards).items():
                forgotten += await self._inspection.prune(shard, found)
            await asyncio.sleep(PAUSE)
        return forgotten

    async def _sweep_all(self) -> None:
        failure: Exception | None = None
        for server in range(len(self._inspection.servers)):
            try:
                forgotten = await self.sweep(server)
            except ShardUnavailable as error:
                logger.debug("%s", error)  # said by whoever enters or publishes
            except Exception as error:
                failure = error  # no reason to leave the other servers
            else:
                if forgotten:
                    logger.info("%d dead members were forgotten", forgotten)
        if failure is not None:
            raise failure
