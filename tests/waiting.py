"""Waits for something to become true, instead of sleeping and hoping."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable

PATIENCE = 10.0  # seconds
PAUSE = 0.005  # seconds


async def until(condition: Callable[[], object | Awaitable[object]]) -> None:
    """Return as soon as `condition()` (or what it awaits) is true; TimeoutError after 10 s."""
    async with asyncio.timeout(PATIENCE):
        while True:
            met = condition()
            if inspect.isawaitable(met):
                met = await met
            if met:
                return
            await asyncio.sleep(PAUSE)
