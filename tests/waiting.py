"""Waits for something to become true, instead of sleeping and hoping."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable

PATIENCE = (
    60.0  # seconds; on a busy machine a process was seen to take 12 to start, and a worker 30
)
PAUSE = 0.005  # seconds


async def until(
    condition: Callable[[], object | Awaitable[object]], within: float = PATIENCE
) -> None:
    """Let the loop run until `condition()` (or what it awaits) is true.

    Raises:
        TimeoutError: It was not within so many seconds.
    """
    async with asyncio.timeout(within):
        while True:
            met = condition()
            if inspect.isawaitable(met):
                met = await met
            if met:
                return
            await asyncio.sleep(PAUSE)


def wait_until(
    condition: Callable[[], object], *, within: float = PATIENCE, what: str = ""
) -> None:
    """Do the same without a loop.

    Raises:
        TimeoutError: It was not true within so many seconds; says `what` was waited for.
    """
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"Waited {within:g} s in vain. {what}".rstrip())
        time.sleep(PAUSE)
