"""Waiting for Redis at the start of a process."""

from __future__ import annotations

import asyncio
import logging

from realtime.outage import Outage, pause
from shardlayer import ShardedChannelLayer

logger = logging.getLogger(__name__)


async def wait_for_redis(layer: ShardedChannelLayer, *, stop: asyncio.Event) -> bool:
    """Wait until one of the layer's servers answers; return False when `stop` came first.

    One is enough: a process that starts while another server is away has work to do.
    """
    outage = Outage("Redis", logger)
    while not stop.is_set():
        answers = await layer.ping()
        if any(isinstance(answer, float) for answer in answers.values()):
            outage.over()
            return True
        await pause(outage.failed("; ".join(map(str, answers.values()))), unless=stop)
    return False
