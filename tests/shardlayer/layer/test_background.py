"""The loop of a layer's background thread, and its end."""

from __future__ import annotations

import asyncio
from uuid import uuid4

from shardlayer.core.hosts import Host
from shardlayer.core.options import LayerOptions
from shardlayer.layer.background import Background
from shardlayer.layer.engine import Engine
from tests.waiting import wait_until


def make_engine() -> Engine:
    """Return an engine on the running loop, with its shards in memory."""
    options = LayerOptions(hosts=(Host(url=f"memory://{uuid4().hex}"),))
    return Engine(options, lambda: None, process="p", on_turned=lambda *_: None)


def test_loop_that_is_told_to_stop_again_is_closed() -> None:
    """By whoever closes the layer, and by the collector, when it finds that nobody has it."""
    background = Background(make_engine)
    engine = background.engine()
    begun: list[int] = []
    done: list[int] = []

    async def end_slowly() -> None:
        begun.append(1)
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            background.stop()
            for _ in range(3):
                await asyncio.sleep(0)
            done.append(1)

    asyncio.run_coroutine_threadsafe(end_slowly(), engine.loop)
    wait_until(lambda: begun)
    background.stop()
    wait_until(lambda: background.is_over)
    assert done == [1]
