"""Looks at the Redis servers: which of them answer, and which of them this process hears.

A server that hangs does not hold up those who ask.

Load balancers ask often, and strangers may ask as often as they like. So there is one look at a
time, for all who ask meanwhile. If there was a look a short time ago, the caller waits only a
moment for the new one. If that takes longer, the caller gets the last result, and the look goes on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from math import ceil
from weakref import WeakKeyDictionary

from realtime.conf import conf
from realtime.sharded_layer import sharded_layer
from shardlayer import ShardedChannelLayer, ShardUnavailable, take_note

Answers = Mapping[str, float | str]
"""For each server the milliseconds that it took to answer, or what is wrong with it."""

QUICK = 0.025  # seconds that are waited for a new look when there is one from a short time ago
RECENT = 30.0  # seconds: how long ago that may be
PAUSE = 0.05  # seconds between two looks at which servers can be heard


class RedisLook:
    """The looks of one event loop at one layer's servers."""

    def __init__(self, layer: ShardedChannelLayer) -> None:
        self.layer = layer
        self._task: asyncio.Task[Answers] | None = None
        self._found: Answers = {}
        self._found_at = float("-inf")

    async def answers(self) -> Answers:
        """Return what is known of the servers now.

        Raises:
            ShardLayerError: The layer does not fit what the servers hold.
        """
        task = self._task
        if task is None or task.done():
            task = self._task = asyncio.create_task(self._look(), name="look at Redis")
            task.add_done_callback(take_note)  # the next look finds it, too
        is_recent = time.monotonic() - self._found_at < RECENT
        await asyncio.wait([task], timeout=QUICK if is_recent else None)
        return task.result() if task.done() else self._found

    async def _look(self) -> Answers:
        self._found = await look_at(self.layer)
        self._found_at = time.monotonic()
        return self._found


async def look_at(layer: ShardedChannelLayer) -> Answers:
    """Ask all servers, and see which of them this process listens to and can't hear.

    A server that takes more than `CHECK_TIMEOUT` seconds did not answer. A server that answers, but
    is not heard, gets the same time to be heard again: a reconnect takes a moment.
    """
    within = conf().check_timeout
    unheard = set(layer.unheard_servers)
    pings = await layer.ping(within)
    answers = {
        server: str(answer) if isinstance(answer, ShardUnavailable) else round(answer * 1000, 3)
        for server, answer in pings.items()
    }
    unheard -= {server for server, answer in answers.items() if isinstance(answer, str)}
    unheard.intersection_update(layer.unheard_servers)
    # Looks are counted, not seconds: while this process stands still it hears nobody.
    for _ in range(ceil(within / PAUSE)):
        if not unheard:
            break
        await asyncio.sleep(PAUSE)
        unheard.intersection_update(layer.unheard_servers)
    reason = f"it answers, but could not be heard for {within:g} s; the log says why"
    return answers | dict.fromkeys(sorted(unheard), reason)


_looks: WeakKeyDictionary[asyncio.AbstractEventLoop, RedisLook] = WeakKeyDictionary()


def redis_look() -> RedisLook:
    """Return the running loop's, for the layer as the settings have it now."""
    loop, layer = asyncio.get_running_loop(), sharded_layer()
    look = _looks.get(loop)
    if look is None or look.layer is not layer:
        look = _looks[loop] = RedisLook(layer)
    return look
