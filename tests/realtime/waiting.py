"""Waiting for something that a test can only look at."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

INTERVAL = 0.01  # seconds


async def until(condition: Callable[[], object], *, within: float = 10.0) -> None:
    """Let the loop run until `condition()` holds.

    Raises:
        TimeoutError: It does not within so many seconds.
    """
    async with asyncio.timeout(within):
        while True:
            if condition():
                return
            await asyncio.sleep(INTERVAL)


def wait_until(condition: Callable[[], object], *, within: float = 10.0, what: str = "") -> None:
    """Do the same without a loop.

    Raises:
        TimeoutError: It does not hold within so many seconds; says `what` was waited for.
    """
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"Waited {within:g} s in vain. {what}")
        time.sleep(INTERVAL)
