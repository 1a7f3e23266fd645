"""Waits for something to become true, instead of sleeping and hoping."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable

PATIENCE = 10.0  # seconds
PAUSE = 0.005  # seconds


async def until(
    condition: Callable[[], object | Awaitable[object]], patience: float = PATIENCE
) -> None:
    """Return as soon as `condition()` (or what it awaits) is true.

    Raises:
        TimeoutError: It was not within `patience` seconds.
    """
    async with asyncio.timeout(patience):
        while True:
            met = condition()
            if inspect.isawaitable(met):
                met = await met
            if met:
                return
            await asyncio.sleep(PAUSE)


def wait_until(condition: Callable[[], object], *, patience: float = PATIENCE) -> None:
    """Return as soon as `condition()` is true, without a loop; TimeoutError after `patience`."""
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not true within {patience:g} s")
        time.sleep(PAUSE)
