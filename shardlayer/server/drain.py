"""How a worker sends its clients away: a few at a time, lest they all come back in one moment.

Each client is told how long to wait before it comes back, and is closed with 1012. Between two
slices the event loop serves the others, who still get all that is published.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Collection, Iterator

from shardlayer.server.host import WebSocket
from shardlayer.server.server_counters import counters

logger = logging.getLogger(__name__)

DRAIN_SECONDS = 10.0  # over which a worker's clients are spread
SLICE_PAUSE = 0.1  # seconds between two slices
LOWEST_RATE = 100.0  # clients a second; few clients need not take the whole time
TURN = 200  # clients, after which others get a turn of the event loop
RETURN_WITHIN = 1.0  # seconds, of which each client waits a random part


def slices(total: int, seconds: float) -> Iterator[int]:
    """Yield how many of `total` clients go with each slice; the slices are SLICE_PAUSE apart.

    They take `seconds`, or less if that needs less than LOWEST_RATE clients a second. With 0
    there is one slice.
    """
    seconds = min(seconds, total / LOWEST_RATE)
    count = max(1, round(seconds / SLICE_PAUSE))
    gone = 0
    for number in range(1, count + 1):
        until = total * number // count
        yield until - gone
        gone = until


async def send_away(websockets: Collection[WebSocket], seconds: float) -> None:
    """Send clients away in random order, spread over so many seconds; 0: all at once."""
    waiting = list(websockets)
    random.shuffle(waiting)
    first = True
    for size in slices(len(waiting), seconds):
        if not first:
            await asyncio.sleep(SLICE_PAUSE)
        first = False
        for number in range(size):
            if number % TURN == TURN - 1:
                await asyncio.sleep(0)
            _send_away(waiting.pop())


def _send_away(websocket: WebSocket) -> None:
    counters.drained += 1
    try:
        # Not for security: nobody gains by knowing it.
        websocket.go_away(random.uniform(0, RETURN_WITHIN))  # noqa: S311
    except Exception:  # the application's last message: the others get theirs all the same
        logger.exception("%r could not be told that the server stops", websocket)
        websocket.abort()
