"""Publishing something once, however often it has to be sent.

Sent again under the same key, it is recognised by the server, which publishes nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from shardlayer.client.client_backoff import backoff_delay
from shardlayer.client.client_error import RoomClientError

LONGEST_RETRY: Final = 240.0  # seconds; the server knows a key for 300
LAST_LONGER_WAIT: Final = 3  # the attempt after which waits don't grow any more: 4 s at most
# Failures after which the same may well succeed. Of all others the server is sure.
PASSING_FAILURES: Final = frozenset(
    {"offline", "lost", "timeout", "rate", "unavailable", "internal"}
)

Result = TypeVar("Result")


async def send_until_taken(send: Callable[[], Awaitable[Result]], retry_for: float) -> Result:
    """Call `send` until it succeeds, fails for good, or the time is over.

    Args:
        send: Must send the same, under the same key.
        retry_for: Seconds in which to begin another attempt; 0 is one attempt.

    Raises:
        RoomClientError: As `send` did last.
        ValueError: The server would have forgotten the key.
    """
    if not 0 <= retry_for <= LONGEST_RETRY:
        raise ValueError(f"retry_for takes 0 to {LONGEST_RETRY:g} seconds.")
    ends = time.monotonic() + retry_for
    attempt = 0
    while True:
        try:
            return await send()
        except RoomClientError as error:
            wait = backoff_delay(min(attempt, LAST_LONGER_WAIT))
            if error.code not in PASSING_FAILURES or time.monotonic() + wait >= ends:
                raise
        await asyncio.sleep(wait)
        attempt += 1
