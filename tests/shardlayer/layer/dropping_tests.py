"""Other people's tests, which drop layers and close loops: `test_dropped.py` runs them."""

from __future__ import annotations

import asyncio
import gc
import os
from importlib import import_module
from typing import Any


def make_layer() -> Any:
    """Return a layer of the class that is asked for."""
    module, _, name = os.environ["LAYER"].rpartition(".")
    return getattr(import_module(module), name)(hosts=[os.environ["REDIS_URL"]])


async def talk(layer: Any) -> None:
    """Use connections of both kinds."""
    channel = await layer.new_channel()
    await layer.group_add("g", channel)
    await layer.group_send("g", {"type": "x"})
    assert await layer.receive(channel) == {"type": "x"}


def test_loop_is_closed() -> None:
    """Without a word to the layer."""
    for _ in range(3):
        loop = asyncio.new_event_loop()
        loop.run_until_complete(talk(make_layer()))
        loop.close()
        gc.collect()


def test_layers_are_dropped_in_a_loop() -> None:
    """As `override_settings` does it."""

    async def main() -> None:
        for _ in range(3):
            await talk(make_layer())
            gc.collect()

    asyncio.run(main())
    gc.collect()


async def test_layer_is_left_to_the_loop_of_the_test() -> None:
    """Which pytest-asyncio makes and ends."""
    await talk(make_layer())
